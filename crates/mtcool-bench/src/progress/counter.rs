//! The progress of a count, such as pictures that are read.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two plain lines.
pub(super) const LINE_INTERVAL: Duration = Duration::from_secs(15);

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
