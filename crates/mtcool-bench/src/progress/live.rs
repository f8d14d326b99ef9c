//! [`LiveView`]: the view that fills the terminal while a sweep is executed, drawn by a thread of its own.
//!
//! It reads no keys and leaves the terminal's modes alone, so that Ctrl-C is a signal as usual. The terminal gets its content back
//! when the sweep ends, when a signal asks the process to stop, and when the process panics.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Once};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::Terminal;

use super::memory::resident;
use super::screen::{self, Screen};
use super::state::{Shared, Slot, locked};
use super::view::draw;

/// Time between two pictures.
const PICTURE_INTERVAL: Duration = Duration::from_millis(250);
/// The longest time between a signal and the end of the view. A second Ctrl-C ends the process at once, which nothing can tidy up after.
const REACTION: Duration = Duration::from_millis(50);
/// What the user is told when a signal has ended the view.
const STOPPING: &str = "stopping after this step; a second Ctrl-C ends the process at once";

/// Whether the view fills the terminal.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// The view of a sweep, until it is dropped.
pub(super) struct LiveView {
    /// The thread ends when this is gone.
    close: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl LiveView {
    /// Opens the view of `state`, which `slot` names while it is open; `None` if the terminal cannot show it. A signal that sets `stop`
    /// ends it.
    pub(super) fn open(slot: Slot, stop: Arc<AtomicUsize>, state: Shared) -> Option<Self> {
        let mut terminal = Terminal::new(Screen::default()).ok()?;
        restore_after_a_panic();
        IS_OPEN.store(true, Ordering::SeqCst);
        if screen::open().is_err() {
            restore();
            return None;
        }
        *locked(&slot) = Some(state.clone());
        let of_thread = slot.clone();
        let (close, closed) = channel();
        let show = move || {
            let mut last: Option<Instant> = None;
            while closed.recv_timeout(REACTION) == Err(RecvTimeoutError::Timeout) && stop.load(Ordering::Relaxed) == 0 {
                if last.is_none_or(|last| last.elapsed() >= PICTURE_INTERVAL) {
                    last = Some(Instant::now());
                    picture(&mut terminal, &state);
                }
            }
            restore();
            *locked(&of_thread) = None;
            let is_stopped = stop.load(Ordering::Relaxed) > 0;
            print_log(&state, is_stopped.then_some(STOPPING));
        };
        let thread = std::thread::Builder::new().name("live view".into()).spawn(show).ok();
        if thread.is_none() {
            restore();
            *locked(&slot) = None;
        }
        Some(Self { close: Some(close), thread: Some(thread?) })
    }

    /// Whether a signal has ended it.
    pub(super) fn is_closed(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

/// Ends the view, and prints the log that it has kept. A sweep that ends with an error closes its view as well.
impl Drop for LiveView {
    fn drop(&mut self) {
        self.close.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Draws the view. A terminal that cannot be written gets no picture, which must not end a training.
fn picture(terminal: &mut Terminal<Screen>, state: &Shared) {
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
        screen::close();
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
