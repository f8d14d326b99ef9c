//! A table's runs: each taken by one live process, none run twice.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use candle_core::Device;

use crate::config::ResolvedRun;
use crate::datasets::Suite;
use crate::methods;
use crate::progress::Console;
use crate::record::{Claim, RunFolder, Status, StorageError, environment};
use crate::train::{Diverged, Run};

/// Between two looks at runs that another process holds.
const PATIENCE: Duration = Duration::from_millis(500);

/// Checks what only the data can tell, before any run is touched: that the networks fit the tasks, the batches the data, and
/// the budgets the methods.
///
/// # Errors
/// With the first misfit.
pub fn check(runs: &[ResolvedRun], suite: &dyn Suite, device: &Device) -> Result<()> {
    for (config, settings) in runs.iter().filter(|(config, _)| config.seed == 0) {
        let sharing = methods::find(&config.method)?.sharing;
        let settings = settings.as_ref();
        Run { config, settings, sharing, suite, device, checkpoint_every: Duration::ZERO }.check()?;
    }
    Ok(())
}

/// Runs everything in `runs` that is not over, together with any other process doing the same, and returns when all are: a
/// line for each run that failed, here or earlier.
///
/// # Errors
/// The first error that other runs would meet as well, such as a full disk; work stops at it.
pub fn sweep(
    runs: &[ResolvedRun],
    suite: &dyn Suite,
    device: &Device,
    folder: &Path,
    checkpoint_every: Duration,
    console: &Console,
) -> Result<Vec<String>> {
    let environment = environment(&runs[0].0.device);
    let all = runs.iter().map(|(config, settings)| {
        let sharing = methods::find(&config.method)?.sharing;
        Ok(Run { config, settings: settings.as_ref(), sharing, suite, device, checkpoint_every })
    });
    let mut pending: Vec<Run<'_>> = all.collect::<Result<_>>()?;
    let mut progress = console.sweep(pending.iter().map(Run::budget).sum());
    let mut failures = Vec::new();
    while !pending.is_empty() {
        let mut busy = Vec::new();
        for run in pending {
            match RunFolder::claim(folder, run.config)? {
                Claim::Busy => busy.push(run),
                Claim::Done(status) => {
                    progress.skip(run.budget());
                    if status.status == Status::Failed {
                        failures.extend(status.message);
                    }
                }
                Claim::Ours(held) => match run.execute(&held, &environment, &mut progress) {
                    Ok(()) => tracing::info!("{} is finished", run.config.id()),
                    Err(error) if error.is::<StorageError>() => return Err(error),
                    Err(error) => {
                        let named =
                            if error.is::<Diverged>() { String::new() } else { format!("{}: ", run.config.id()) };
                        tracing::error!("{named}{error:#}; the other runs go on");
                        failures.push(format!("{named}{error:#}"));
                    }
                },
            }
        }
        pending = busy;
        if !pending.is_empty() {
            std::thread::sleep(PATIENCE);
        }
    }
    progress.finish();
    Ok(failures)
}
