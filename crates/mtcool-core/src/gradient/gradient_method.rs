//! The training method around a direction for all tasks.

use super::combine::Combine;
use super::direction::Direction;
use super::point::Point;
use crate::error::{Result, require};
use crate::method::{Diagnostics, Method, MethodState, Step, StepReport, TaskLoss};
use crate::optimizer::{UpdateSettings, Updater};

/// "Combine, then optimise": joint training, loss weightings and gradient aggregators. A step finds one direction for all
/// tasks and makes one update of all parameters along it.
///
/// With gradient accumulation, the tasks' losses and gradients are averaged over the batches first and combined then.
pub struct GradientMethod {
    combine: Combine,
    learning_rate: f64,
    updater: Updater,
    iteration: u64,
    diagnostics: Diagnostics,
}

impl GradientMethod {
    /// # Errors
    /// If a setting is out of its range; `learning_rate` is positive.
    pub fn new(combine: Combine, learning_rate: f64, updates: UpdateSettings) -> Result<Self> {
        require(learning_rate > 0.0 && learning_rate.is_finite(), "learning_rate", learning_rate, "a positive number")?;
        let (updater, diagnostics) = (Updater::new(updates)?, Diagnostics::default());
        Ok(Self { combine, learning_rate, updater, iteration: 0, diagnostics })
    }
}

impl Method for GradientMethod {
    fn step(&mut self, step: Step<'_>) -> Result<StepReport> {
        let Step { problem, parameters, batches, progress } = step;
        let rounds = (0..self.updater.accumulated_batches()).map(|_| batches.next_all(problem.tasks()));
        let batches = rounds.collect::<Result<Vec<_>>>()?.concat();
        let point = Point::new(problem, parameters, &batches);
        let Direction { gradients, losses, diagnostics } = self.combine.direction(&point, self.iteration)?;
        self.diagnostics = diagnostics;
        self.updater.update(problem, parameters, gradients, (self.learning_rate, progress))?;
        self.iteration += 1;
        self.combine.observe(&Point::new(problem, parameters, &batches))?;
        let report = |(task, loss)| TaskLoss { task, loss, regularizer: None };
        Ok(StepReport { losses: losses.into_iter().enumerate().map(report).collect() })
    }

    fn batches_next_step(&self) -> usize {
        self.updater.accumulated_batches()
    }

    fn state(&self) -> MethodState {
        MethodState { iteration: self.iteration, tensors: self.updater.state(), numbers: self.combine.state() }
    }

    fn restore(&mut self, state: MethodState) -> Result<()> {
        self.combine.restore(state.numbers)?;
        self.updater.restore(state.tensors)?;
        self.iteration = state.iteration;
        Ok(())
    }

    fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }
}
