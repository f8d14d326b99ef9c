//! The training method around a direction for all tasks.

use super::combine::Combine;
use super::direction::Direction;
use super::point::Point;
use super::storage::GradientStorage;
use crate::error::{Result, require};
use crate::method::{Diagnostics, EpochSummary, Method, MethodState, Step, StepReport, TaskLoss};
use crate::optimizer::{UpdateSettings, Updater};

/// "Combine, then optimise": joint training, loss weightings and gradient aggregators. A step finds one direction for all
/// tasks and makes one update of all parameters along it.
///
/// With gradient accumulation, the tasks' losses and gradients are averaged over the batches first and combined then.
pub struct GradientMethod {
    combine: Combine,
    learning_rate: f64,
    storage: GradientStorage,
    updater: Updater,
    iteration: u64,
    diagnostics: Diagnostics,
}

/// What the names of the tensors begin with that the combination remembers; the others are the optimiser's.
const COMBINE: &str = "combine";

impl GradientMethod {
    /// # Errors
    /// If a setting is out of its range; `learning_rate` is positive.
    pub fn new(combine: Combine, learning_rate: f64, updates: UpdateSettings) -> Result<Self> {
        require(learning_rate > 0.0 && learning_rate.is_finite(), "learning_rate", learning_rate, "a positive number")?;
        let (updater, diagnostics, storage) = (Updater::new(updates)?, Diagnostics::default(), GradientStorage::Stored);
        Ok(Self { combine, learning_rate, storage, updater, iteration: 0, diagnostics })
    }

    /// The same method with gradients that are held as `storage` says.
    #[must_use]
    pub fn storing(self, storage: GradientStorage) -> Self {
        Self { storage, ..self }
    }
}

impl Method for GradientMethod {
    fn step(&mut self, step: Step<'_>) -> Result<StepReport> {
        let Step { problem, parameters, batches, progress } = step;
        let rounds = (0..self.batches_next_step()).map(|_| batches.next_all(problem.tasks()));
        let batches = rounds.collect::<Result<Vec<_>>>()?.concat();
        let mut losses = Vec::with_capacity(problem.tasks());
        for _ in 0..self.combine.updates(problem.tasks()) {
            let point = Point::new(problem, parameters, &batches);
            let direction = self.combine.direction_by(&point, self.iteration, self.storage)?;
            let Direction { gradients, losses: of_update, diagnostics } = direction;
            losses.extend(of_update);
            self.diagnostics = diagnostics;
            self.updater.update(problem, parameters, gradients, (self.learning_rate, progress))?;
        }
        self.iteration += 1;
        self.combine.observe_at(&Point::new(problem, parameters, &batches))?;
        let report = |(task, loss)| TaskLoss { task, loss, regularizer: None };
        Ok(StepReport { losses: losses.into_iter().enumerate().map(report).collect() })
    }

    fn batches_next_step(&self) -> usize {
        self.updater.accumulated_batches() * self.combine.independent_batches()
    }

    fn state(&self) -> MethodState {
        let tensors = self.updater.state().with_all(COMBINE, &self.combine.tensors());
        MethodState { iteration: self.iteration, tensors, numbers: self.combine.state() }
    }

    fn restore(&mut self, state: MethodState) -> Result<()> {
        let (of_combine, of_updater) = state.tensors.split(COMBINE);
        self.combine.restore(state.numbers)?;
        self.combine.restore_tensors(of_combine)?;
        self.updater.restore(of_updater)?;
        self.iteration = state.iteration;
        Ok(())
    }

    fn end_epoch(&mut self, epoch: &EpochSummary<'_>) -> Result<()> {
        self.combine.end_epoch(epoch)
    }

    fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }
}
