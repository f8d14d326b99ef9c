//! [`LiveView`]: the view that fills the terminal while a sweep is executed, drawn by a thread of its own.
//!
//! It reads no keys and leaves the terminal's modes alone, so that Ctrl-C is a signal as usual. The terminal gets its content back
//! when the sweep ends, when a signal asks the process to stop, and when the process panics.

use std::io::{self, Stderr, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};

use super::memory::resident;
use super::view::draw;
use super::{Console, Shared, locked};

/// Time between two pictures.
const PICTURE_INTERVAL: Duration = Duration::from_millis(250);
/// The longest time between a signal and the end of the view. A second Ctrl-C ends the process at once, which nothing can tidy up after.
const REACTION: Duration = Duration::from_millis(50);
/// What the user is told when a signal has ended the view.
const STOPPING: &str = "stopping after this step; a second Ctrl-C ends the process at once";

/// Whether the view fills the terminal.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// The view of a sweep, until it is closed.
pub(super) struct LiveView {
    close: Sender<()>,
    thread: JoinHandle<()>,
}

impl LiveView {
    /// Opens the view of `state`; `None` if the terminal cannot show it.
    pub(super) fn open(console: Console, state: Shared) -> Option<Self> {
        let mut terminal = Terminal::new(CrosstermBackend::new(io::stderr())).ok()?;
        restore_after_a_panic();
        IS_OPEN.store(true, Ordering::SeqCst);
        if execute!(io::stderr(), EnterAlternateScreen, Hide).and_then(|()| terminal.clear()).is_err() {
            restore();
            return None;
        }
        console.set_live(Some(state.clone()));
        let of_thread = console.clone();
        let (close, closed) = channel();
        let show = move || {
            let mut last: Option<Instant> = None;
            while closed.recv_timeout(REACTION) == Err(RecvTimeoutError::Timeout)
                && of_thread.stop.load(Ordering::Relaxed) == 0
            {
                if last.is_none_or(|last| last.elapsed() >= PICTURE_INTERVAL) {
                    last = Some(Instant::now());
                    picture(&mut terminal, &state);
                }
            }
            restore();
            of_thread.set_live(None);
            let is_stopped = of_thread.stop.load(Ordering::Relaxed) > 0;
            print_log(&state, is_stopped.then_some(STOPPING));
        };
        let thread = std::thread::Builder::new().name("live view".into()).spawn(show).ok();
        if thread.is_none() {
            restore();
            console.set_live(None);
        }
        Some(Self { close, thread: thread? })
    }

    /// Whether a signal has ended it.
    pub(super) fn is_closed(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it, and prints the log that it has kept.
    pub(super) fn close(self) {
        let _ = self.close.send(());
        let _ = self.thread.join();
    }
}

/// Draws the view. A terminal that cannot be written gets no picture, which must not end a training.
fn picture(terminal: &mut Terminal<CrosstermBackend<Stderr>>, state: &Shared) {
    let memory = resident();
    // The training goes on while the picture is drawn.
    let state = locked(state).clone();
    let _ = terminal.draw(|frame| draw(frame, &state, memory, Instant::now()));
}

/// Prints the log of `state`, and `last` below it.
fn print_log(state: &Shared, last: Option<&str>) {
    let kept = std::mem::take(&mut locked(state).log);
    let text: String = kept.iter().map(String::as_str).chain(last).map(|line| format!("{line}\n")).collect();
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Gives the terminal its content and its cursor back, if the view fills it.
fn restore() {
    if IS_OPEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stderr(), Show, LeaveAlternateScreen);
    }
}

/// From now on, a panic restores the terminal before its message is printed.
fn restore_after_a_panic() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            print(panic);
        }));
    });
}
