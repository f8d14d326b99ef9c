//! The training loop: a single run from its last checkpoint to its end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use candle_core::{DType, Device};
use mtcool_core::{
    BatchSource, Diagnostics, EpochSummary, Error, LossValues, Method, Parameters, Point, Problem, Step,
};

use super::curve::{conflict, curve};
use super::ended::{Diverged, Interrupted};
use super::problem::problem;
use super::selection::{chosen, is_out_of_patience, keep_if_best};
use super::times::TimedBatches;
use crate::plan::{Plan, PlannedMethod, RunConfig};
use crate::progress::SweepProgress;
use crate::record::{
    Checkpoint, EpochTimes, NetworkSize, Position, RunFolder, RunProgress, RunRecord, RunStatus, Status, TaskSums,
};
use crate::suite::{Name, Sharing, Split, Suite};

/// A run, with everything that is needed to execute it.
pub struct Run<'a> {
    /// Everything that determines its result.
    pub config: &'a RunConfig,
    /// Its method.
    pub method: &'a PlannedMethod,
    /// The experiment that it belongs to.
    pub plan: &'a Plan,
    /// Its data.
    pub suite: &'a dyn Suite,
    /// The device that it trains on, which the config's `device` names.
    pub device: &'a Device,
    /// Time between checkpoints. In addition, a checkpoint is written at the end of each epoch.
    pub checkpoint_every: Duration,
    /// The number of the signal that asked the process to stop; 0 before.
    pub stop: &'a AtomicUsize,
}

impl Run<'_> {
    /// The run's name in messages.
    pub fn name(&self) -> String {
        self.method.run_name(self.config.seed)
    }

    /// The budget: number of batches per task.
    pub fn budget(&self) -> u64 {
        self.config.training.epochs.saturating_mul(self.batches_an_epoch())
    }

    fn batches_an_epoch(&self) -> u64 {
        self.config.training.batches_per_epoch((0..self.tasks()).map(|task| self.suite.samples(task) as u64))
    }

    fn problem(&self) -> Result<Problem> {
        problem(self.plan, &self.method.network, self.suite, self.method.entry.sharing, self.device)
    }

    fn tasks(&self) -> usize {
        self.plan.spec.tasks.len()
    }

    fn task_name(&self, task: usize) -> Name {
        self.plan.spec.tasks[task].name.clone()
    }

    /// Checks that network, batch size and budget fit the data.
    ///
    /// # Errors
    /// If a setting does not fit; the message names it.
    pub fn check(&self) -> Result<()> {
        self.problem()?;
        self.batches(0)?;
        let (least, budget) = (self.method.settings.least_batches(&self.config.training), self.budget());
        ensure!(
            least <= budget,
            "method.{}: its warm-up and one iteration need {least} batches of each task, but {} epochs are {budget}; raise \
             `training.epochs` or lower `warmup_iterations`",
            self.method.entry.name,
            self.config.training.epochs
        );
        Ok(())
    }

    /// Trains in `folder` until the budget is used up, then evaluates the split that the table reports.
    ///
    /// # Errors
    /// [`Diverged`] if a loss or a prediction is not finite; [`Interrupted`] if the process was asked to stop;
    /// [`crate::record::TakenOver`] if another process has taken the run; [`crate::record::StorageError`] if the results cannot be
    /// written.
    pub fn execute(&self, folder: &RunFolder, record: &RunRecord, progress: &mut SweepProgress) -> Result<()> {
        let problem = self.problem()?;
        let fresh = problem.network().initial_parameters(self.config.seed, DType::F32, self.device)?;
        let size = NetworkSize { parameters: fresh.element_count(), joint_parameters: self.joint_parameters()? };
        let mut method = self.method.settings.build(&self.config.training, self.config.seed)?;
        let mut state = match Checkpoint::load_newest(&folder.checkpoints(), &fresh)? {
            Some(checkpoint) => {
                tracing::info!("{} continues from step {}", self.name(), checkpoint.position.step);
                method.restore(checkpoint.method.clone())?;
                checkpoint
            }
            None => Checkpoint {
                parameters: fresh,
                method: method.state(),
                position: Position { sums: vec![TaskSums::default(); problem.tasks()], ..Position::default() },
                best: None,
                rows: Vec::new(),
            },
        };
        let status = folder.begin(self.config, size, self.budget(), progress_of(&state.position), record)?;
        progress.skip(state.position.batches);
        progress.set_curve(curve(&state.rows, &self.plan.spec.columns), conflict(&state.rows));
        let mut keep = |map| folder.write_map(&map);
        let outcome = self.train(&problem, method.as_mut(), &mut state, (folder, &status), progress).and_then(|()| {
            let chosen = chosen(&state);
            Ok((self.evaluate_end(&problem, &chosen, &mut keep)?, chosen))
        });
        let (evaluation, chosen) = match outcome {
            Ok(ended) => ended,
            Err(error) => {
                if error.is::<Diverged>() {
                    let message = Some(format!("{error:#}"));
                    folder.set_status(&status, Status::Failed, message, progress_of(&state.position))?;
                    folder.write_rows(&state.rows)?;
                    progress.skip(self.budget().saturating_sub(state.position.batches));
                } else if error.is::<Interrupted>() {
                    folder.set_status(&status, Status::Interrupted, None, progress_of(&state.position))?;
                }
                return Err(error);
            }
        };
        let split = self.config.report;
        if split == Split::Test {
            state.record_evaluation(split.name(), &evaluation, (chosen.step, chosen.epoch));
        }
        folder.write_rows(&state.rows)?;
        folder.write_outcome(&evaluation, &chosen.parameters)?;
        folder.set_status(&status, Status::Finished, None, progress_of(&state.position))
    }

    /// Number of parameters of the network that Joint trains: the unit of the Params column.
    fn joint_parameters(&self) -> Result<usize> {
        let network = self.plan.build_network(Sharing::Shared)?;
        Ok(network.initial_parameters(0, DType::F32, &Device::Cpu)?.element_count())
    }

    fn train(
        &self,
        problem: &Problem,
        method: &mut dyn Method,
        state: &mut Checkpoint,
        (folder, status): (&RunFolder, &RunStatus),
        progress: &mut SweepProgress,
    ) -> Result<()> {
        let (budget, per_epoch) = (self.budget(), self.batches_an_epoch());
        let mut batches = self.batches(state.position.batches)?;
        let mut last_checkpoint = Instant::now();
        loop {
            folder.check_held()?;
            if is_out_of_patience(&state.position, self.config.training.patience) {
                progress.skip(budget.saturating_sub(state.position.batches));
                return Ok(());
            }
            let drawn = method.batches_next_step() as u64;
            let is_over = state.position.batches + drawn > budget;
            // If the next step would exceed the budget, the last epoch is recorded although it has fewer batches.
            let epochs_done = if is_over { self.config.training.epochs } else { state.position.batches / per_epoch };
            let (ends_epoch, is_asked_to_stop) =
                (epochs_done > state.position.epoch, self.stop.load(Ordering::Relaxed) > 0);
            if ends_epoch {
                state.position.epoch = epochs_done;
                self.end_epoch(problem, method, state)?;
                progress.set_curve(curve(&state.rows, &self.plan.spec.columns), conflict(&state.rows));
                folder.write_rows(&state.rows)?;
            }
            if ends_epoch || is_asked_to_stop || last_checkpoint.elapsed() >= self.checkpoint_every {
                state.method = method.state();
                folder.save(state)?;
                folder.set_status(status, Status::Running, None, progress_of(&state.position))?;
                last_checkpoint = Instant::now();
            }
            if is_asked_to_stop {
                let Position { step, epoch, .. } = state.position;
                let epochs = self.config.training.epochs;
                Err(Interrupted { run: self.name(), step, epoch: (epoch + 1).min(epochs), epochs })?;
            }
            if is_over {
                return Ok(());
            }
            let probed = self.probe(problem, state)?;
            let losses = self.timed_step(problem, method, state, batches.as_mut(), budget)?;
            self.count_step(drawn, &losses, (method.diagnostics(), probed), state);
            progress.advance(drawn, || self.describe(&state.position, &losses));
        }
    }

    /// A step of `method`, whose times are added to those of the epoch.
    fn timed_step(
        &self,
        problem: &Problem,
        method: &mut dyn Method,
        state: &mut Checkpoint,
        batches: &mut dyn BatchSource,
        budget: u64,
    ) -> Result<Vec<LossValues>> {
        // The passes of evaluations and probes are no part of a step.
        problem.take_times();
        let (started, mut timed) = (Instant::now(), TimedBatches::new(batches));
        let losses = self.step(problem, method, &mut state.parameters, &mut timed, &state.position, budget)?;
        let whole = started.elapsed();
        timed.add_step(whole, problem.take_times(), &mut state.position.times);
        state.position.train_seconds += whole.as_secs_f64();
        Ok(losses)
    }

    /// Counts a step that has drawn `drawn` batches of each task, and adds its losses, the method's diagnostics and those of a probe to
    /// the sums of the epoch.
    fn count_step(
        &self,
        drawn: u64,
        losses: &[LossValues],
        (diagnostics, probed): (&Diagnostics, Option<Diagnostics>),
        state: &mut Checkpoint,
    ) {
        let position = &mut state.position;
        position.step += 1;
        position.batches += drawn;
        position.diagnostics.add(diagnostics);
        // A method that computes the gradients itself needs no probe.
        if let (Some(probed), None) = (probed, &diagnostics.gramian) {
            position.diagnostics.add(&probed);
        }
        for entry in losses {
            position.sums[entry.task].add(entry.loss, entry.regularizer);
        }
        self.log_step(losses, state);
    }

    fn batches(&self, position: u64) -> Result<Box<dyn BatchSource>> {
        self.suite.batches(self.device, self.config.training.batch_size, self.config.seed, position)
    }

    fn step(
        &self,
        problem: &Problem,
        method: &mut dyn Method,
        parameters: &mut Parameters,
        batches: &mut dyn BatchSource,
        position: &Position,
        budget: u64,
    ) -> Result<Vec<LossValues>> {
        let progress = position.batches as f64 / budget as f64;
        let report = method.step(Step { problem, parameters, batches, progress });
        let report = report.map_err(|source| match would_fail_again(&source) {
            true => anyhow::Error::from(Diverged::Method { run: self.name(), step: position.step, source }),
            false => source.into(),
        })?;
        match report.check_finite() {
            Err(source @ Error::NonFiniteLoss { task, .. }) => {
                Err(Diverged::Step { run: self.name(), step: position.step, task: self.task_name(task), source })?
            }
            losses => Ok(losses?),
        }
    }

    /// If `log_every` asks for losses at a finer grain than an epoch, adds those of a step, and records their means when they are
    /// due.
    fn log_step(&self, losses: &[LossValues], state: &mut Checkpoint) {
        let every = self.plan.experiment.log_every;
        if every == 0 {
            return;
        }
        state.position.logged.resize(self.tasks(), TaskSums::default());
        for entry in losses {
            state.position.logged[entry.task].add(entry.loss, entry.regularizer);
        }
        if state.position.step.is_multiple_of(every) {
            for (task, sums) in std::mem::take(&mut state.position.logged).into_iter().enumerate() {
                // A method that updates the tasks in turn may have left a task out.
                if sums.updates > 0 {
                    let updates = sums.updates as f64;
                    state.record("train", &self.task_name(task), "step_loss", sums.loss / updates);
                    state.record("train", &self.task_name(task), "step_regularizer", sums.regularizer / updates);
                }
            }
        }
    }

    /// If a measurement is due, the inner products of the tasks' gradients at the current parameters, on the batches of the next
    /// step.
    fn probe(&self, problem: &Problem, state: &Checkpoint) -> Result<Option<Diagnostics>> {
        let every = self.config.probe_every;
        if every == 0 || !state.position.step.is_multiple_of(every) {
            return Ok(None);
        }
        let batches = self.batches(state.position.batches)?.next_all(problem.tasks())?;
        let gramian = Point::new(problem, &state.parameters, &batches).gradients()?.shared_gramian()?;
        Ok(Some(Diagnostics { gramian: Some(gramian), ..Diagnostics::NONE }))
    }

    fn describe(&self, position: &Position, losses: &[LossValues]) -> String {
        let losses = losses.iter().map(|entry| format!("{} {:.4}", self.task_name(entry.task), entry.loss));
        let (epoch, epochs) = (position.epoch + 1, self.config.training.epochs);
        let losses = losses.collect::<Vec<_>>().join(", ");
        format!("{} epoch {} of {epochs}, step {}, loss {losses}", self.name(), epoch.min(epochs), position.step)
    }

    /// Records the mean training losses of the epoch, then the metrics of the validation split, and tells the method the losses.
    fn end_epoch(&self, problem: &Problem, method: &mut dyn Method, state: &mut Checkpoint) -> Result<()> {
        let Position { step, epoch, .. } = state.position;
        let started = Instant::now();
        let evaluation = self.evaluate_validation(problem, &state.parameters, step)?;
        let times = std::mem::take(&mut state.position.times);
        let times = EpochTimes { evaluation: started.elapsed().as_secs_f64(), ..times };
        let sums = std::mem::replace(&mut state.position.sums, vec![TaskSums::default(); problem.tasks()]);
        let names: Vec<&str> = self.plan.spec.tasks.iter().map(|task| &*task.name).collect();
        let mean = |sums: &TaskSums| if sums.updates > 0 { sums.loss / sums.updates as f64 } else { f64::NAN };
        let training: Vec<f64> = sums.iter().map(mean).collect();
        for (task, sums) in names.iter().zip(sums) {
            let updates = sums.updates.max(1) as f64;
            state.record("train", task, "loss", sums.loss / updates);
            state.record("train", task, "regularizer", sums.regularizer / updates);
        }
        for (tasks, metric, mean) in std::mem::take(&mut state.position.diagnostics).rows(&names) {
            state.record("train", &tasks, &metric, mean);
        }
        state.record_evaluation(Split::Validation.name(), &evaluation, (step, epoch));
        if self.plan.experiment.log_times {
            state.rows.extend(times.rows((step, epoch)));
        }
        if let Some(objective) = self.plan.selection(&self.config.training)? {
            keep_if_best(state, &objective, &evaluation)?;
        }
        tracing::info!("{} epoch {epoch}: validation {}", self.name(), self.in_words(&evaluation));
        let loss_of = |task: &&str| {
            let mut losses = evaluation.measurements.iter().filter(|measurement| measurement.metric == "loss");
            losses.find(|measurement| *measurement.task == **task).map_or(f64::NAN, |measurement| measurement.value)
        };
        let validation: Vec<f64> = names.iter().map(loss_of).collect();
        self.record_diagnosis(problem, state)?;
        let epochs = state.position.epoch;
        Ok(method.end_epoch(&EpochSummary { epochs, training_losses: &training, validation_losses: &validation })?)
    }

    /// For a run of a [`Diagnosis`](crate::plan::Diagnosis), records what it measures at the end of an epoch.
    fn record_diagnosis(&self, problem: &Problem, state: &mut Checkpoint) -> Result<()> {
        let Position { step, epoch, .. } = state.position;
        let found = self.evaluate_optimistically(problem, &state.parameters, step)?;
        if let (Some(diagnosis), Some(found)) = (self.config.diagnosis, found) {
            tracing::info!("{} epoch {epoch}: {} {}", self.name(), diagnosis.split(), self.in_words(&found));
            state.record_evaluation(diagnosis.split(), &found, (step, epoch));
        }
        Ok(())
    }
}

fn progress_of(position: &Position) -> RunProgress {
    let Position { epoch, step, batches, train_seconds, .. } = *position;
    RunProgress { epoch, step, batches, train_seconds, selected_epoch: position.best.map(|best| best.epoch) }
}

/// Whether a step failed because of its losses or gradients, which would be the same in another attempt. Storage, memory and batches
/// are no such reasons.
fn would_fail_again(error: &Error) -> bool {
    matches!(error, Error::Mismatch { .. } | Error::OutOfRange { .. } | Error::NonFiniteLoss { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtcool_core::{Aggregator, Jacobian};

    #[test]
    fn a_method_that_refuses_its_losses_is_over_but_a_missing_batch_is_not() {
        let mut grad_norm = mtcool_baselines::GradNorm::new(1.5, 0.025).unwrap();
        let refused = grad_norm.combine(&Jacobian::new(&[], &[1.0, 0.0]), 0);
        assert!(would_fail_again(&refused.unwrap_err()));
        let source = Box::new(std::io::Error::other("the disk is full"));
        assert!(!would_fail_again(&Error::Batch { task: 0, source }));
    }
}
