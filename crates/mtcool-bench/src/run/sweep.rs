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

/// How the turn of one run ended.
enum TurnEnd {
    /// The run is finished, now or since earlier.
    Finished,
    /// It failed, now or earlier, for this reason if that is known.
    Failed(Option<String>),
    /// Another process executes it.
    Elsewhere,
    /// The process was asked to stop.
    Interrupted(Interrupted),
}

impl TurnEnd {
    /// What the progress display shows of the run from now on.
    fn phase(&self) -> Phase {
        match self {
            Self::Finished => Phase::Finished,
            Self::Failed(_) => Phase::Failed,
            Self::Elsewhere => Phase::Elsewhere,
            Self::Interrupted(_) => Phase::Interrupted,
        }
    }
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

    /// Gives each of `pending` its turn, until the process is asked to stop; returns the runs that other processes execute.
    fn pass<'a>(
        &'a self,
        pending: Vec<Run<'a>>,
        environment: &Environment,
        progress: &mut SweepProgress,
        outcome: &mut Outcome,
    ) -> Result<Vec<Run<'a>>> {
        let mut elsewhere = Vec::new();
        for run in pending {
            outcome.is_stopped |= self.stop.load(Ordering::Relaxed) > 0;
            if outcome.is_stopped {
                break;
            }
            progress.turn_to(&run.name(), Phase::Running);
            let end = self.turn(&run, environment, progress)?;
            progress.set_phase(end.phase());
            match end {
                TurnEnd::Finished => outcome.finished += 1,
                TurnEnd::Failed(message) => outcome.failures.extend(message),
                TurnEnd::Elsewhere => elsewhere.push(run),
                TurnEnd::Interrupted(interrupted) => {
                    (outcome.is_stopped, outcome.interrupted) = (true, Some(interrupted));
                }
            }
        }
        Ok(elsewhere)
    }

    /// Executes `run` to its end if it is free and not over.
    ///
    /// # Errors
    /// As [`Sweep::execute`].
    fn turn(&self, run: &Run<'_>, environment: &Environment, progress: &mut SweepProgress) -> Result<TurnEnd> {
        let held = match RunFolder::claim(self.folder, run.config, &run.method.entry.name)? {
            Claim::Busy => return Ok(TurnEnd::Elsewhere),
            Claim::Done(status) => {
                progress.skip(run.budget());
                let is_failed = status.status == Status::Failed;
                return Ok(if is_failed { TurnEnd::Failed(status.message) } else { TurnEnd::Finished });
            }
            Claim::Ours(held) if self.plan.experiment.log.contains(&MetricLog::Tensorboard) => {
                (*held).with_events(run.config)?
            }
            Claim::Ours(held) => *held,
        };
        // With cross-validation, the parts depend on the seed.
        let record = RunRecord { environment: environment.clone(), data: run.suite.record() };
        let Err(error) = run.execute(&held, &record, progress) else {
            tracing::info!("{} is finished", run.name());
            return Ok(TurnEnd::Finished);
        };
        // The error may be that a file was gone, so this is asked whatever the error is.
        if let Some(taken) = held.taken_over() {
            tracing::warn!("{}: {taken}", run.name());
            return Ok(TurnEnd::Elsewhere);
        }
        if error.is::<StorageError>() {
            return Err(error);
        }
        Ok(match error.downcast::<Interrupted>() {
            Ok(interrupted) => TurnEnd::Interrupted(interrupted),
            Err(error) => {
                let named = if error.is::<Diverged>() { String::new() } else { format!("{}: ", run.name()) };
                let message = format!("{named}{}", one_line(&error));
                tracing::error!("{message}; the other runs go on");
                TurnEnd::Failed(Some(message))
            }
        })
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
