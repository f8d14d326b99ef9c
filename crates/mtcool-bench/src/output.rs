//! Standard output. A reader that went away (`mtcool ... | head`) is no error, and a full disk costs nothing but the printed text:
//! the command does its work first and tells the problem at its end.

use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};

/// Text for standard output.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Why no more text is printed, if something went wrong.
    stopped: Option<io::Error>,
}

impl Output {
    /// Prints `text`, unless standard output was closed or failed before.
    pub(crate) fn text(&mut self, text: &str) {
        if self.stopped.is_none() {
            let mut place = io::stdout().lock();
            self.stopped = place.write_all(text.as_bytes()).and_then(|()| place.flush()).err();
        }
    }

    /// Prints `line` and ends the line.
    pub(crate) fn line(&mut self, line: &str) {
        self.text(&format!("{line}\n"));
    }

    /// Returns the problem that there was, if any.
    ///
    /// # Errors
    /// If text could not be printed, for example because the disk is full. A closed pipe is no error.
    pub(crate) fn finish(self) -> Result<()> {
        match self.stopped {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(error).context("standard output cannot be written; everything else is done")
            }
            _ => Ok(()),
        }
    }
}

/// Prints `text` as the whole output of a command.
///
/// # Errors
/// As for [`Output::finish`].
pub(crate) fn print(text: &str) -> Result<()> {
    let mut output = Output::default();
    output.text(text);
    output.finish()
}

/// Prints `line` to standard error; nothing can be done if that fails.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
