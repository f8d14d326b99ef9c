//! A sweep: all runs of a table. Each run is executed by one process, and no run is executed twice.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use candle_core::Device;

use super::ended::{Diverged, Interrupted};
use super::train::Run;
use crate::plan::{MetricLog, Plan, PlannedRun};
use crate::progress::{Console, Phase, RunShape, SweepProgress, SweepShape};
use crate::record::{Claim, Environment, RunFolder, RunRecord, Status, StorageError};
use crate::suite::{Suite, one_line};

/// Time between two checks of runs that another process holds.
const PATIENCE: Duration = Duration::from_millis(500);

/// The runs of a table, with everything that is needed to execute them.
pub struct Sweep<'a> {
    /// The experiment.
    pub plan: &'a Plan,
    /// Its runs, in the order of their execution.
    pub runs: &'a [PlannedRun],
    /// Its data.
    pub suite: &'a dyn Suite,
    /// The device that it trains on.
    pub device: &'a Device,
    /// The folder that holds the folders of all runs.
    pub folder: &'a Path,
    /// Time between checkpoints.
    pub checkpoint_every: Duration,
    /// Whether to wait for runs that other processes hold.
    pub waits: bool,
    /// The number of the signal that asked the process to stop; 0 before.
    pub stop: &'a AtomicUsize,
}

/// How a sweep ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// One line for each run that failed, now or earlier.
    pub failures: Vec<String>,
    /// Number of runs that are finished.
    pub finished: usize,
    /// The names of the runs that other processes are executing.
    pub elsewhere: Vec<String>,
    /// Whether the process was asked to stop.
    pub is_stopped: bool,
    /// The run that it was working on then.
    pub interrupted: Option<Interrupted>,
}

impl Sweep<'_> {
    /// Checks what depends on the data before any run starts: that the networks fit the tasks, that the batch size fits the
    /// data, and that the budget is enough for each method.
    ///
    /// # Errors
    /// If something does not fit; the message names the first such setting.
    pub fn check(&self) -> Result<()> {
        let mut checked = BTreeSet::new();
        for run in self.all().filter(|run| checked.insert(run.method.entry.name.clone())) {
            run.check()?;
        }
        Ok(())
    }

    /// Executes all runs that are not over, together with any other process that works on the same sweep. It returns when all
    /// runs are over, when all others are held by other processes (unless it waits), or when the process is asked to stop.
    ///
    /// # Errors
    /// The first error that would affect the other runs as well, such as a full disk; the sweep then stops.
    pub fn execute(&self, console: &Console) -> Result<Outcome> {
        let environment = Environment::of_process(&self.plan.experiment.device);
        let mut pending: Vec<Run<'_>> = self.all().collect();
        let mut progress = console.sweep(self.shape(&pending));
        let mut outcome = Outcome::default();
        while !pending.is_empty() && !outcome.is_stopped {
            let before = pending.len();
            pending = self.pass(pending, &environment, &mut progress, &mut outcome)?;
            if pending.len() == before && !outcome.is_stopped {
                if !self.waits {
                    break;
                }
                std::thread::sleep(PATIENCE);
            }
        }
        outcome.elsewhere = pending.iter().map(Run::name).collect();
        progress.finish();
        Ok(outcome)
    }

    /// Executes each of `pending` that is free; returns those that other processes hold.
    fn pass<'a>(
        &'a self,
        pending: Vec<Run<'a>>,
        environment: &Environment,
        progress: &mut SweepProgress,
        outcome: &mut Outcome,
    ) -> Result<Vec<Run<'a>>> {
        let mut busy = Vec::new();
        for run in pending {
            outcome.is_stopped |= self.stop.load(Ordering::Relaxed) > 0;
            if outcome.is_stopped {
                break;
            }
            progress.turn_to(&run.name(), Phase::Running);
            let held = match RunFolder::claim(self.folder, run.config, &run.method.entry.name)? {
                Claim::Busy => {
                    progress.set_phase(Phase::Elsewhere);
                    busy.push(run);
                    continue;
                }
                Claim::Done(status) => {
                    progress.skip(run.budget());
                    let is_failed = status.status == Status::Failed;
                    progress.set_phase(if is_failed { Phase::Failed } else { Phase::Finished });
                    if is_failed {
                        outcome.failures.extend(status.message);
                    } else {
                        outcome.finished += 1;
                    }
                    continue;
                }
                Claim::Ours(held) if self.plan.experiment.log.contains(&MetricLog::Tensorboard) => {
                    (*held).with_events(run.config)?
                }
                Claim::Ours(held) => *held,
            };
            // With cross-validation, the parts depend on the seed.
            let record = RunRecord { environment: environment.clone(), data: run.suite.record() };
            let result = run.execute(&held, &record, progress);
            // The error may be that a file was gone, so this is asked whatever the error is.
            if let Some(taken) = result.as_ref().err().and_then(|_| held.taken_over()) {
                tracing::warn!("{}: {taken}", run.name());
                progress.set_phase(Phase::Elsewhere);
                busy.push(run);
                continue;
            }
            match result {
                Ok(()) => {
                    tracing::info!("{} is finished", run.name());
                    progress.set_phase(Phase::Finished);
                    outcome.finished += 1;
                }
                Err(error) if error.is::<StorageError>() => return Err(error),
                Err(error) => match error.downcast::<Interrupted>() {
                    Ok(interrupted) => {
                        progress.set_phase(Phase::Interrupted);
                        (outcome.is_stopped, outcome.interrupted) = (true, Some(interrupted));
                        break;
                    }
                    Err(error) => {
                        let named = if error.is::<Diverged>() { String::new() } else { format!("{}: ", run.name()) };
                        let message = format!("{named}{}", one_line(&error));
                        tracing::error!("{message}; the other runs go on");
                        progress.set_phase(Phase::Failed);
                        outcome.failures.push(message);
                    }
                },
            }
        }
        Ok(busy)
    }

    /// What the progress display has to know.
    fn shape(&self, runs: &[Run<'_>]) -> SweepShape {
        let run =
            |run: &Run<'_>| RunShape { name: run.name(), epochs: run.config.training.epochs, batches: run.budget() };
        let metric = match &self.plan.spec.columns[..] {
            [only] => only.label.to_string(),
            columns => format!("mean of {} columns", columns.len()),
        };
        let (title, metric) = (self.plan.source.name.clone(), format!("{metric} on the validation part"));
        SweepShape { title, metric, runs: runs.iter().map(run).collect() }
    }

    fn all(&self) -> impl Iterator<Item = Run<'_>> {
        self.runs.iter().map(|PlannedRun { config, method }| Run {
            config,
            method,
            plan: self.plan,
            suite: self.suite.of_seed(config.seed).unwrap_or(self.suite),
            device: self.device,
            checkpoint_every: self.checkpoint_every,
            stop: self.stop,
        })
    }
}
