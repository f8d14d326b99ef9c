//! The signals that ask the process to stop: the first one lets the step end and writes a checkpoint. A second Ctrl-C or a second signal
//! to terminate ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The exit status of a process that was asked to stop by the machine and not by a person: job schedulers start it again.
const AGAIN: u8 = 75;

/// From now on, holds the number of the signal that asked the process to stop; 0 before. It knows SIGUSR1, with which job schedulers
/// announce the time limit; [`watch`] adds Ctrl-C and the signal to terminate.
///
/// # Errors
/// If the operating system does not let the process handle the signal.
pub(super) fn announced() -> Result<Arc<AtomicUsize>> {
    let number = Arc::new(AtomicUsize::new(0));
    #[cfg(unix)]
    {
        let signal = signal_hook::consts::SIGUSR1;
        flag::register_usize(signal, Arc::clone(&number), signal as usize).context("the handler of SIGUSR1")?;
    }
    Ok(number)
}

/// From now on, Ctrl-C and the signal to terminate set `number` as well.
///
/// # Errors
/// If the operating system does not let the process handle the signals.
pub(super) fn watch(number: &Arc<AtomicUsize>) -> Result<()> {
    let was_asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let register = || -> std::io::Result<()> {
            // The order matters: a signal ends the process only if an earlier one has set the flag.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&was_asked))?;
            flag::register(signal, Arc::clone(&was_asked))?;
            flag::register_usize(signal, Arc::clone(number), signal as usize)?;
            Ok(())
        };
        register().context("the handler of Ctrl-C")?;
    }
    Ok(())
}

/// The exit status of a process that has stopped because of a signal: after Ctrl-C as shells report it, otherwise [`AGAIN`].
pub(super) fn exit_status(signal: usize) -> u8 {
    if signal == SIGINT as usize { 128 + SIGINT as u8 } else { AGAIN }
}
