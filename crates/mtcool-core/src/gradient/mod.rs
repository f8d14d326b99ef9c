//! The other kind of method: combine what the tasks ask for, then optimise all parameters at once.

mod convention;
mod jacobian;
mod point;
mod seams;

use crate::error::{Error, Result, require};
use crate::method::{Diagnostics, Method, MethodState, Step, StepReport, TaskLoss};
use crate::optimizer::{RateSchedule, Sgd, Velocity};
use crate::parameters::{ParameterName, Part};

pub use convention::Convention;
pub use jacobian::Jacobian;
pub use point::{Point, TaskGradients};
pub use seams::{Aggregator, Combination, Direction, DirectionSource, LossWeighting};

/// How a [`GradientMethod`] makes one direction of several tasks.
pub enum Combine {
    /// By weights on the losses: one backward pass.
    Losses(Box<dyn LossWeighting>),
    /// By combining gradients: a backward pass a task, over one shared forward pass. Task-specific parameters get their own
    /// task's plain gradient.
    Gradients(Box<dyn Aggregator>),
    /// By passes of its own.
    Direction(Box<dyn DirectionSource>),
}

impl Combine {
    fn direction(&mut self, point: &Point<'_>, iteration: u64) -> Result<Direction> {
        match self {
            Self::Losses(weighting) => point.weighted(weighting.as_mut(), iteration),
            Self::Gradients(aggregator) => {
                let TaskGradients { losses, values, rows } = point.gradients()?;
                let (gradients, diagnostics) = aggregator.combine_all(&rows, &values, iteration)?;
                Ok(Direction { gradients, losses, diagnostics })
            }
            Self::Direction(source) => source.direction(point, iteration),
        }
    }

    fn state(&self) -> Vec<(String, f64)> {
        match self {
            Self::Losses(weighting) => weighting.state(),
            Self::Gradients(aggregator) => aggregator.state(),
            Self::Direction(source) => source.state(),
        }
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        match self {
            Self::Losses(weighting) => weighting.restore(state),
            Self::Gradients(aggregator) => aggregator.restore(state),
            Self::Direction(source) => source.restore(state),
        }
    }

    fn reads_losses_after(&self) -> bool {
        match self {
            Self::Losses(weighting) => weighting.reads_losses_after(),
            Self::Gradients(_) => false,
            Self::Direction(source) => source.reads_losses_after(),
        }
    }

    fn observe(&mut self, losses: &[f64]) -> Result<()> {
        match self {
            Self::Losses(weighting) => weighting.observe(losses),
            Self::Gradients(_) => Ok(()),
            Self::Direction(source) => source.observe(losses),
        }
    }
}

/// "Combine, then optimise": Joint training, loss weightings and gradient aggregators.
pub struct GradientMethod {
    combine: Combine,
    learning_rate: f64,
    sgd: Sgd,
    rate: RateSchedule,
    iteration: u64,
    velocity: Velocity,
    diagnostics: Diagnostics,
}

impl GradientMethod {
    /// # Errors
    /// If a setting is out of its range; `learning_rate` is positive.
    pub fn new(combine: Combine, learning_rate: f64, sgd: Sgd, rate: RateSchedule) -> Result<Self> {
        require(learning_rate > 0.0 && learning_rate.is_finite(), "learning_rate", learning_rate, "a positive number")?;
        let (sgd, rate) = (sgd.check()?, rate.check()?);
        let (velocity, diagnostics) = (Velocity::new(), Diagnostics::default());
        Ok(Self { combine, learning_rate, sgd, rate, iteration: 0, velocity, diagnostics })
    }
}

fn one_a_task(weights: &[f64], tasks: usize) -> Result<()> {
    match weights.len() == tasks {
        true => Ok(()),
        false => Err(Error::Mismatch {
            what: "weights of the tasks".into(),
            expected: format!("{tasks}, one a task"),
            got: weights.len().to_string(),
        }),
    }
}

fn are_finite(values: &[f64]) -> bool {
    values.iter().all(|value| value.is_finite())
}

/// Every theta is read by every task's features; a phi is its own task's.
fn is_shared(name: &ParameterName) -> bool {
    name.part == Part::Theta
}

fn is_own(name: &ParameterName, task: usize) -> bool {
    name.part == Part::Phi && name.task == task
}

impl Method for GradientMethod {
    fn step(&mut self, step: Step<'_>) -> Result<StepReport> {
        let Step { problem, parameters, batches, progress } = step;
        let batches = batches.next_all(problem.tasks())?;
        let point = Point::new(problem, parameters, &batches);
        let Direction { gradients, losses, diagnostics } = self.combine.direction(&point, self.iteration)?;
        self.diagnostics = diagnostics;
        let velocity = std::mem::take(&mut self.velocity);
        let rate = self.learning_rate * self.rate.factor(progress);
        let (moved, velocity) = self.sgd.step_by(problem.kernels(), parameters, &gradients, velocity, rate)?;
        parameters.update(moved);
        self.velocity = velocity;
        self.iteration += 1;
        if self.combine.reads_losses_after() {
            let after = Point::new(problem, parameters, &batches).losses()?;
            if are_finite(&after) {
                self.combine.observe(&after)?;
            }
        }
        let report = |(task, loss)| TaskLoss { task, loss, regularizer: None };
        Ok(StepReport { losses: losses.into_iter().enumerate().map(report).collect() })
    }

    fn batches_next_step(&self) -> usize {
        1
    }

    fn state(&self) -> MethodState {
        MethodState { iteration: self.iteration, tensors: self.velocity.clone(), numbers: self.combine.state() }
    }

    fn restore(&mut self, state: MethodState) -> Result<()> {
        self.combine.restore(state.numbers)?;
        self.iteration = state.iteration;
        self.velocity = state.tensors;
        Ok(())
    }

    fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }
}
