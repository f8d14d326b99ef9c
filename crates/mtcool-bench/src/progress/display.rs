//! [`Console`]: shows progress and log lines without mixing them up.

use std::io::{IsTerminal, Write};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};

use super::counter::LINE_INTERVAL;
use super::live::LiveView;
use super::state::{Phase, Shared, Slot, SweepShape, SweepState, locked, share};

/// Time between two messages about the position of a run, of which nobody reads more.
const MESSAGE_INTERVAL: Duration = Duration::from_millis(100);

/// How the progress of a sweep is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Display {
    /// A live view if standard output and standard error are a terminal, a bar if standard error alone is one, otherwise lines.
    #[default]
    Auto,
    /// A view of all runs that fills the terminal.
    Live,
    /// A bar below the log.
    Bar,
    /// A plain line every 15 seconds.
    Lines,
}

impl Display {
    /// The display where standard output and standard error are terminals or not. Nothing but lines is shown where standard error is
    /// no terminal.
    fn on(self, [output, error]: [bool; 2]) -> Self {
        match self {
            _ if !error => Self::Lines,
            // The view writes the sequences that terminals of Unix understand.
            Self::Auto | Self::Live if !cfg!(unix) => Self::Bar,
            Self::Auto if output => Self::Live,
            Self::Auto => Self::Bar,
            asked => asked,
        }
    }
}

/// The console, which shows progress and log lines without mixing them up.
#[derive(Clone, Debug, Default)]
pub struct Console {
    bars: MultiProgress,
    display: Display,
    /// The number of the signal that asked the process to stop; 0 before. The live view then ends.
    stop: Arc<AtomicUsize>,
    /// The sweep whose view fills the terminal, which keeps the log until it is closed.
    live: Slot,
}

impl Console {
    /// A console that shows sweeps as `display` says. The live view ends when a signal sets `stop`.
    pub fn new(display: Display, stop: Arc<AtomicUsize>) -> Self {
        Self { display, stop, ..Self::default() }
    }

    /// The progress of a sweep.
    pub fn sweep(&self, shape: SweepShape) -> SweepProgress {
        let state = Arc::new(Mutex::new(SweepState::new(shape)));
        let terminals = [std::io::stdout().is_terminal(), std::io::stderr().is_terminal()];
        let shown = match self.display.on(terminals) {
            Display::Live => LiveView::open(self.live.clone(), self.stop.clone(), state.clone())
                .map_or_else(|| self.bar(&state), Shown::Live),
            Display::Lines => Shown::Lines,
            Display::Auto | Display::Bar => self.bar(&state),
        };
        SweepProgress { shown, state, last_line: Instant::now(), last_message: None }
    }

    fn bar(&self, state: &Shared) -> Shown {
        let style = ProgressStyle::with_template("{bar:30} {percent:>3}%  {elapsed} elapsed, {eta} left  {msg}");
        let bar = ProgressBar::new(locked(state).batches()[1]);
        Shown::Bar(self.bars.add(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))))
    }
}

/// Log lines are written above the bars. Lines that come while the live view fills the terminal are shown in it, and printed when it is
/// closed.
impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let live = locked(&self.live);
        match &*live {
            Some(state) => locked(state).add_text(&String::from_utf8_lossy(bytes)),
            // A reader of standard error that went away, as with `2>&1 | head`, must not end a training.
            None => drop(self.bars.suspend(|| std::io::stderr().write_all(bytes))),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let _ = std::io::stderr().flush();
        Ok(())
    }
}

/// What is on the screen.
enum Shown {
    Live(LiveView),
    Bar(ProgressBar),
    Lines,
}

/// The progress of a sweep, counted in batches per task.
pub struct SweepProgress {
    shown: Shown,
    state: Shared,
    last_line: Instant,
    last_message: Option<Instant>,
}

impl SweepProgress {
    /// From now on, the other functions are about the run called `run`, with which this happens.
    pub fn turn_to(&mut self, run: &str, phase: Phase) {
        locked(&self.state).choose(run);
        self.set_phase(phase);
    }

    /// What is happening to the run from now on.
    pub fn set_phase(&mut self, phase: Phase) {
        let mut state = locked(&self.state);
        state.set_phase(phase);
        if let Shown::Bar(bar) = &self.shown {
            let [done, all] = state.batches();
            bar.set_length(all);
            bar.set_position(done);
        }
    }

    /// What the run has reached: the value after each epoch on the validation part, and the share of steps in which gradients were in
    /// conflict in the last epoch, if the method measures it.
    pub fn set_curve(&mut self, curve: Vec<(f64, f64)>, conflict: Option<f64>) {
        if let Some(run) = locked(&self.state).run() {
            (run.curve, run.conflict) = (curve, conflict);
        }
    }

    /// Counts batches that need no training here: batches of finished runs, or batches before a checkpoint.
    pub fn skip(&mut self, batches: u64) {
        let mut state = locked(&self.state);
        state.add(batches, false);
        if let Shown::Bar(bar) = &self.shown {
            bar.set_position(state.batches()[0]);
            bar.reset_eta();
        }
    }

    /// Counts batches that were just trained; `message` describes the position of the run.
    pub fn advance(&mut self, batches: u64, message: impl FnOnce() -> String) {
        let mut state = locked(&self.state);
        state.add(batches, true);
        let is_closed = matches!(&self.shown, Shown::Live(view) if view.is_closed());
        if matches!(self.shown, Shown::Lines) || is_closed {
            if self.last_line.elapsed() >= LINE_INTERVAL {
                self.last_line = Instant::now();
                let [done, all] = state.batches();
                let left = state.time_left(Instant::now()).unwrap_or_default();
                drop(state);
                let percent = 100.0 * share(done, all);
                tracing::info!("{} ({percent:.0}%, about {} left)", message(), HumanDuration(left));
            }
            return;
        }
        if let Shown::Bar(bar) = &self.shown {
            bar.set_position(state.batches()[0]);
        }
        if self.last_message.is_none_or(|last| last.elapsed() >= MESSAGE_INTERVAL) {
            self.last_message = Some(Instant::now());
            state.message = message();
            if let Shown::Bar(bar) = &self.shown {
                bar.set_message(state.message.clone());
            }
        }
    }

    /// Removes the view or the bar from the screen.
    pub fn finish(self) {
        match self.shown {
            Shown::Live(view) => drop(view),
            Shown::Bar(bar) => bar.finish_and_clear(),
            Shown::Lines => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::{RunShape, example};
    use super::*;

    #[test]
    fn nothing_but_lines_is_shown_where_no_terminal_is() {
        for asked in [Display::Auto, Display::Live, Display::Bar, Display::Lines] {
            assert_eq!(asked.on([true, false]), Display::Lines);
            assert_eq!(asked.on([false, false]), Display::Lines);
        }
        assert_eq!(Display::Auto.on([true, true]), Display::Live);
        assert_eq!(Display::Auto.on([false, true]), Display::Bar);
        assert_eq!((Display::Bar.on([true, true]), Display::Live.on([false, true])), (Display::Bar, Display::Live));
    }

    #[test]
    fn a_log_line_is_kept_while_the_view_fills_the_terminal() {
        let (mut console, state) = (Console::default(), Arc::new(Mutex::new(example())));
        *locked(&console.live) = Some(state.clone());
        assert_eq!(console.write(b"joint-s0 is finished\n").unwrap(), 21);
        assert_eq!(locked(&state).log, ["joint-s0 is finished"]);
        *locked(&console.live) = None;
        assert_eq!(console.write(b"").unwrap(), 0);
        assert_eq!(locked(&state).log.len(), 1);
    }

    #[test]
    fn batches_and_curves_reach_the_state() {
        let shape = SweepShape {
            title: "table1".into(),
            metric: "accuracy".into(),
            runs: vec![RunShape { name: "joint-s0".into(), epochs: 2, batches: 10 }],
        };
        let mut progress = Console::new(Display::Lines, Arc::default()).sweep(shape);
        progress.turn_to("joint-s0", Phase::Running);
        progress.skip(2);
        progress.advance(3, || panic!("no line is due"));
        progress.set_curve(vec![(1.0, 98.5)], Some(0.25));
        let state = progress.state.clone();
        progress.finish();
        let mut state = locked(&state);
        assert_eq!(state.batches(), [5, 10]);
        let run = state.run().unwrap();
        assert_eq!((run.curve.clone(), run.conflict, run.phase), (vec![(1.0, 98.5)], Some(0.25), Phase::Running));
    }
}
