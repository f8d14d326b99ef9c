//! The progress display: on a terminal a bar with the remaining time, otherwise plain lines.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};

/// Time between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(15);

/// The console, which shows progress bars and log lines without mixing them up.
#[derive(Clone, Debug, Default)]
pub struct Console(MultiProgress);

impl Console {
    /// A progress display over `total` batches of the whole sweep.
    pub fn sweep(&self, total: u64) -> SweepProgress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:30} {percent:>3}%  {elapsed} elapsed, {eta} left  {msg}");
            let bar = ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.0.add(bar)
        });
        SweepProgress { bar, total, done: 0, fresh: 0, started: Instant::now(), last_line: Instant::now() }
    }
}

/// Returns a function that displays the progress of a count: it takes the number of finished items and the total, and may be
/// called from any thread.
pub fn counter(what: &'static str) -> impl Fn(usize, usize) + Sync {
    let bar = std::io::stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template("{bar:30} {pos} of {len}  {elapsed} elapsed, {eta} left  {msg}");
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
        // A reader of standard error that went away, as with `2>&1 | head`, must not end a training.
        let _ = self.0.suspend(|| std::io::stderr().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let _ = std::io::stderr().flush();
        Ok(())
    }
}

/// The progress of a sweep, counted in batches per task.
pub struct SweepProgress {
    bar: Option<ProgressBar>,
    total: u64,
    done: u64,
    /// The part of `done` that this process has trained: the basis of the estimate of the remaining time.
    fresh: u64,
    started: Instant,
    last_line: Instant,
}

impl SweepProgress {
    /// Counts batches that need no training here: batches of finished runs, or batches before a checkpoint.
    pub fn skip(&mut self, batches: u64) {
        self.done = self.done.saturating_add(batches);
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
            bar.reset_eta();
        }
    }

    /// Counts batches that were just trained; `message` describes the position of the run.
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

    /// Removes the bar from the screen.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
