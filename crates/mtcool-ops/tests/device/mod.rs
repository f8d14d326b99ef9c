//! The card that tests run on, if there is one.

use std::io::Write;

use candle_core::Device;

/// The first card; if there is none, `None` and a line that says so, past the test harness, which shows no output of tests
/// that pass. With `NEEDS_NVIDIA_CARD` set there has to be one.
#[allow(clippy::explicit_write, reason = "the harness keeps what macros print")]
pub(crate) fn card(test: &str) -> Option<Device> {
    match mtcool_ops::open_device("cuda:0") {
        Ok(device) => Some(device),
        Err(error) if std::env::var_os("NEEDS_NVIDIA_CARD").is_some() => panic!("{test} needs a card: {error}"),
        Err(error) => {
            // One line, whether or not the error carries a backtrace.
            let error = error.to_string();
            writeln!(std::io::stderr(), "skipped {test}: {}", error.lines().next().unwrap_or_default()).unwrap();
            None
        }
    }
}
