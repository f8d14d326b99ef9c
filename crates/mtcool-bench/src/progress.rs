//! Progress for people: a bar with the time left on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};

/// Between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(15);

/// Where bars and log lines share the screen.
#[derive(Clone, Debug, Default)]
pub struct Console(MultiProgress);

impl Console {
    /// A progress display over `total` batches of the whole sweep.
    pub fn sweep(&self, total: u64) -> SweepProgress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:30} {percent:>3}%  {elapsed} gone, {eta} left  {msg}");
            let bar = ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.0.add(bar)
        });
        SweepProgress { bar, total, done: 0, fresh: 0, started: Instant::now(), last_line: Instant::now() }
    }
}

/// Hears how many of how many items are done, from any thread: a bar on a terminal, plain lines elsewhere.
pub fn counter(what: &'static str) -> impl Fn(usize, usize) + Sync {
    let bar = std::io::stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template("{bar:30} {pos} of {len}  {elapsed} gone, {eta} left  {msg}");
        let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.with_message(what)
    });
    let last_line = Mutex::new(Instant::now());
    move |done, total| match &bar {
        Some(bar) => {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            if done >= total {
                bar.finish_and_clear();
            }
        }
        None => {
            let Ok(mut last_line) = last_line.lock() else { return };
            if last_line.elapsed() >= LINE_INTERVAL {
                *last_line = Instant::now();
                tracing::info!("{what}: {done} of {total}");
            }
        }
    }
}

/// Log lines are written above the bars.
impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.suspend(|| std::io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Progress of a sweep, counted in batches of a task.
pub struct SweepProgress {
    bar: Option<ProgressBar>,
    total: u64,
    done: u64,
    /// Of `done`, those worked off here and now: the base of the estimate.
    fresh: u64,
    started: Instant,
    last_line: Instant,
}

impl SweepProgress {
    /// Batches that are behind us without work: of finished runs, or before a checkpoint.
    pub fn skip(&mut self, batches: u64) {
        self.done += batches;
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
            bar.reset_eta();
        }
    }

    /// Batches just worked off; `message` says where the run is.
    pub fn advance(&mut self, batches: u64, message: impl FnOnce() -> String) {
        self.done += batches;
        self.fresh += batches;
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
            bar.set_message(message());
        } else if self.last_line.elapsed() >= LINE_INTERVAL {
            self.last_line = Instant::now();
            let left = self.total.saturating_sub(self.done) as f64 / self.fresh as f64;
            let left = self.started.elapsed().mul_f64(left.max(0.0));
            tracing::info!(
                "{} ({:.0}%, about {} left)",
                message(),
                100.0 * self.done as f64 / self.total as f64,
                HumanDuration(left)
            );
        }
    }

    /// Takes the bar off the screen.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
