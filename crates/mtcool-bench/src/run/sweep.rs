//! A sweep: all runs of a table. Each run is executed by one process, and no run is executed twice.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use candle_core::Device;

use super::train::{Diverged, Run};
use crate::plan::{Plan, PlannedRun};
use crate::progress::Console;
use crate::record::{Claim, RunFolder, Status, StorageError, environment};
use crate::suite::Suite;

/// Time between two checks of runs that another process holds.
const PATIENCE: Duration = Duration::from_millis(500);

/// Checks what depends on the data before any run starts: that the networks fit the tasks, that the batch size fits the data,
/// and that the budget is enough for each method.
///
/// # Errors
/// If something does not fit; the message names the first such setting.
pub fn check(plan: &Plan, runs: &[PlannedRun], suite: &dyn Suite, device: &Device) -> Result<()> {
    for PlannedRun { config, method } in runs.iter().filter(|run| run.config.seed == 0) {
        Run { config, method, plan, suite, device, checkpoint_every: Duration::ZERO }.check()?;
    }
    Ok(())
}

/// Executes all of `runs` that are not over, together with any other process that works on the same sweep. It returns when all
/// runs are over, with one line for each run that failed, now or earlier.
///
/// # Errors
/// The first error that would affect the other runs as well, such as a full disk; the sweep then stops.
pub fn sweep(
    plan: &Plan,
    runs: &[PlannedRun],
    suite: &dyn Suite,
    device: &Device,
    folder: &Path,
    checkpoint_every: Duration,
    console: &Console,
) -> Result<Vec<String>> {
    let environment = environment(&plan.experiment.device);
    let of_plan =
        runs.iter().map(|PlannedRun { config, method }| Run { config, method, plan, suite, device, checkpoint_every });
    let mut pending: Vec<Run<'_>> = of_plan.collect();
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
