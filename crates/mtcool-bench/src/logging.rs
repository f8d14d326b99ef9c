//! Logging: readable lines on the console, and JSON lines in a file next to the results.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::progress::Console;
use crate::record::{StorageError, create_folder};

/// Whether this value of the variable `NO_COLOR` forbids colours (<https://no-color.org>): any value but an empty one.
fn forbids_colour(no_color: Option<OsString>) -> bool {
    no_color.is_some_and(|value| !value.is_empty())
}

/// Starts logging to the console, and to `file` if there is one. `MTCOOL_LOG` holds a filter such as `debug`.
///
/// # Errors
/// If the file cannot be opened.
pub(crate) fn start(console: &Console, file: Option<&Path>) -> Result<(), StorageError> {
    let filter = || {
        EnvFilter::try_from_env("MTCOOL_LOG")
            .unwrap_or_else(|_| EnvFilter::new("warn,mtcool=info,mtcool_bench=info,mtcool_data=info"))
    };
    let console = console.clone();
    let people = fmt::layer()
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal() && !forbids_colour(std::env::var_os("NO_COLOR")))
        .with_timer(fmt::time::Uptime::default())
        .with_writer(move || console.clone())
        .with_filter(filter());
    let machine = match file {
        Some(path) => {
            create_folder(path.parent().unwrap_or(Path::new(".")))?;
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map_err(|error| StorageError::open(path, error))?;
            Some(fmt::layer().json().with_writer(Mutex::new(file)).with_filter(filter()))
        }
        None => None,
    };
    // If logging has started in this process already, the first subscriber stays in place.
    let _ = tracing_subscriber::registry().with(people).with(machine).try_init();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_of_no_color_but_an_empty_one_forbids_colours() {
        assert!(forbids_colour(Some("1".into())) && forbids_colour(Some("0".into())));
        assert!(!forbids_colour(Some("".into())) && !forbids_colour(None));
    }
}
