//! Ctrl-C and the signal to terminate: the first one lets the step end and writes a checkpoint, the second one ends the process
//! at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// From now on, holds the number of the signal that asked the process to stop; 0 before.
///
/// # Errors
/// If the operating system does not let the process handle the signals.
pub(super) fn watch() -> Result<Arc<AtomicUsize>> {
    let (number, was_asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    for signal in [SIGINT, SIGTERM] {
        let register = || -> std::io::Result<()> {
            // The order matters: a signal ends the process only if an earlier one has set the flag.
            flag::register_conditional_shutdown(signal, exit_status(signal as usize).into(), Arc::clone(&was_asked))?;
            flag::register(signal, Arc::clone(&was_asked))?;
            flag::register_usize(signal, Arc::clone(&number), signal as usize)?;
            Ok(())
        };
        register().context("the handler of Ctrl-C")?;
    }
    Ok(number)
}

/// The exit status of a process that a signal has ended, as shells report it.
pub(super) fn exit_status(signal: usize) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}
