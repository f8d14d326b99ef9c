//! A table's runs: each taken by one live process, none run twice.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::config::ResolvedRun;
use crate::datasets::Suite;
use crate::methods;
use crate::progress::Console;
use crate::record::{Claim, RunFolder, Status, StorageError, environment};
use crate::train::{Diverged, Run};

/// Between two looks at runs that another process holds.
const PATIENCE: Duration = Duration::from_millis(500);

/// Runs everything in `runs` that is not over, together with any other process doing the same, and returns when all are.
///
/// # Errors
/// The first error that other runs would meet as well, at once; else, after the last run, the errors of single runs. A run
/// that diverged is no error: it is marked in its folder and in the table.
pub fn sweep(
    runs: &[ResolvedRun],
    suite: &dyn Suite,
    folder: &Path,
    checkpoint_every: Duration,
    console: &Console,
) -> Result<()> {
    let environment = environment(&runs[0].0.device);
    let all = runs.iter().map(|(config, settings)| {
        let sharing = methods::find(&config.method)?.sharing;
        Ok(Run { config, settings: settings.as_ref(), sharing, suite, checkpoint_every })
    });
    let mut pending: Vec<Run<'_>> = all.collect::<Result<_>>()?;
    let mut progress = console.sweep(pending.iter().map(Run::budget).sum());
    let mut errors = Vec::new();
    while !pending.is_empty() {
        let mut busy = Vec::new();
        for run in pending {
            match RunFolder::claim(folder, run.config)? {
                Claim::Busy => busy.push(run),
                Claim::Done(status) => {
                    if status.status == Status::Failed {
                        tracing::warn!("{} failed: {}", run.config.id(), status.message.unwrap_or_default());
                    }
                    progress.skip(run.budget());
                }
                Claim::Ours(held) => match run.execute(&held, &environment, &mut progress) {
                    Ok(()) => tracing::info!("{} is finished", run.config.id()),
                    Err(error) if error.is::<Diverged>() => tracing::error!("{error}; the run is marked failed"),
                    Err(error) if error.is::<StorageError>() => return Err(error),
                    Err(error) => {
                        tracing::error!("{}: {error:#}", run.config.id());
                        errors.push(format!("{}: {error:#}", run.config.id()));
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
    match errors.is_empty() {
        true => Ok(()),
        false => bail!("{} of {} runs could not be finished:\n{}", errors.len(), runs.len(), errors.join("\n")),
    }
}
