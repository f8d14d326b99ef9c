//! The other kind of method: combine what the tasks ask for, then optimise all parameters at once.

use candle_core::{DType, Tensor};

use crate::error::{Error, Result, require};
use crate::method::{Method, MethodState, Step, StepReport, TaskLoss};
use crate::objective;
use crate::optimizer::{RateSchedule, Sgd, Velocity};
use crate::parameters::{Gradients, ParameterName, Parameters, Part};

/// Weights on the tasks' losses, known before any gradient: one backward pass of the weighted sum does the step.
pub trait LossWeighting: Send {
    /// One weight a task, given this step's losses `[T]`. Asked for in the order of the steps, once each.
    ///
    /// # Errors
    /// If no weights can be had from these losses.
    fn weights(&mut self, losses: &[f64]) -> Result<Vec<f64>>;

    /// What it remembers between steps, by name.
    fn state(&self) -> Vec<(String, f64)> {
        Vec::new()
    }

    /// Continues from `state`, as [`LossWeighting::state`] gave it.
    ///
    /// # Errors
    /// If `state` is not this weighting's.
    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        MethodState { numbers: state, ..MethodState::default() }.expect_numbers(&[])
    }

    /// Whether the losses matter; those that ignore them need not wait for their values.
    fn reads_losses(&self) -> bool {
        true
    }
}

/// Combines the rows g_i of the Jacobian J `[T, n]` of the losses with respect to the shared parameters into one direction.
pub trait Aggregator: Send {
    /// The combination of the rows of step `iteration`, counted from 0: what is random follows from it and a seed of the
    /// aggregator's own.
    ///
    /// # Errors
    /// If there is none, such as a solver that does not converge.
    fn combine(&mut self, jacobian: &Jacobian<'_>, iteration: u64) -> Result<Combination>;

    /// What it remembers between steps, by name.
    fn state(&self) -> Vec<(String, f64)> {
        Vec::new()
    }

    /// Continues from `state`, as [`Aggregator::state`] gave it.
    ///
    /// # Errors
    /// If `state` is not this aggregator's.
    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        MethodState { numbers: state, ..MethodState::default() }.expect_numbers(&[])
    }
}

/// What an [`Aggregator`] found.
#[derive(Clone, Debug)]
pub enum Combination {
    /// `sum_i w_i g_i`: all an aggregator that works from the Gramian has to say.
    Weights(Vec<f64>),
    /// The direction itself, for the few that work coordinate by coordinate.
    Direction(Gradients),
}

/// The tasks' gradients with respect to the shared parameters, as the backward passes left them: never one `[T, n]` matrix.
#[derive(Clone, Copy, Debug)]
pub struct Jacobian<'a> {
    rows: &'a [Gradients],
}

impl<'a> Jacobian<'a> {
    /// From one row a task.
    pub fn new(rows: &'a [Gradients]) -> Self {
        Self { rows }
    }

    /// The rows g_i; a parameter that task i does not reach is missing from row i.
    pub fn rows(&self) -> &'a [Gradients] {
        self.rows
    }

    /// J J^T `[T, T]`, entry (i, j) the inner product of g_i and g_j.
    ///
    /// # Errors
    /// If two rows disagree on a parameter's shape.
    pub fn gramian(&self) -> Result<Vec<Vec<f64>>> {
        let tasks = self.rows.len();
        let mut gramian = vec![vec![0.0; tasks]; tasks];
        for (i, row) in self.rows.iter().enumerate() {
            for (j, other) in self.rows[..=i].iter().enumerate() {
                let product = row.inner_product(other)?;
                gramian[i][j] = product;
                gramian[j][i] = product;
            }
        }
        Ok(gramian)
    }
}

/// How a [`GradientMethod`] makes one direction of several tasks.
pub enum Combine {
    /// By weights on the losses: one backward pass.
    Losses(Box<dyn LossWeighting>),
    /// By combining gradients: a backward pass a task, over one shared forward pass. Task-specific parameters get their own
    /// task's plain gradient.
    Gradients(Box<dyn Aggregator>),
}

/// "Combine, then optimise": Joint training, loss weightings and gradient aggregators.
pub struct GradientMethod {
    combine: Combine,
    learning_rate: f64,
    sgd: Sgd,
    rate: RateSchedule,
    iteration: u64,
    velocity: Velocity,
}

impl GradientMethod {
    /// # Errors
    /// If a setting is out of its range; `learning_rate` is positive.
    pub fn new(combine: Combine, learning_rate: f64, sgd: Sgd, rate: RateSchedule) -> Result<Self> {
        require(learning_rate > 0.0 && learning_rate.is_finite(), "learning_rate", learning_rate, "a positive number")?;
        let (sgd, rate) = (sgd.check()?, rate.check()?);
        Ok(Self { combine, learning_rate, sgd, rate, iteration: 0, velocity: Velocity::new() })
    }

    fn gradients(&mut self, leaves: &Parameters, losses: &[Tensor]) -> Result<Gradients> {
        match &mut self.combine {
            Combine::Losses(weighting) => {
                let values = match weighting.reads_losses() {
                    true => {
                        let read = losses.iter().map(|loss| Ok(loss.to_dtype(DType::F64)?.to_scalar::<f64>()?));
                        read.collect::<Result<Vec<_>>>()?
                    }
                    false => vec![f64::NAN; losses.len()],
                };
                let weights = weighting.weights(&values)?;
                one_a_task(&weights, losses.len())?;
                let weighted =
                    losses.iter().zip(weights).map(|(loss, w)| if w == 1.0 { Ok(loss.clone()) } else { loss * w });
                let total = objective::total(&weighted.collect::<candle_core::Result<Vec<_>>>()?)?;
                Ok(leaves.gradients(&total.backward()?))
            }
            Combine::Gradients(aggregator) => {
                let rows = losses.iter().map(|loss| Ok(leaves.gradients(&loss.backward()?)));
                let rows = rows.collect::<Result<Vec<_>>>()?;
                let shared: Vec<_> = rows.iter().map(|row| row.filter(is_shared)).collect();
                let mut result = match aggregator.combine(&Jacobian::new(&shared), self.iteration)? {
                    Combination::Direction(direction) => direction,
                    Combination::Weights(weights) => {
                        one_a_task(&weights, losses.len())?;
                        let terms = shared.iter().zip(weights);
                        terms.into_iter().try_fold(Gradients::new(), |sum, (row, w)| sum.add_scaled(row, w))?
                    }
                };
                for (task, row) in rows.iter().enumerate() {
                    result.update(row.filter(|name| name.part == Part::Phi && name.task == task));
                }
                Ok(result)
            }
        }
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

/// Every theta is read by every task's features; a phi is its own task's.
fn is_shared(name: &ParameterName) -> bool {
    name.part == Part::Theta
}

impl Method for GradientMethod {
    fn step(&mut self, step: Step<'_>) -> Result<StepReport> {
        let Step { problem, parameters, batches, progress } = step;
        let batches = batches.next_all(problem.tasks())?;
        let leaves = parameters.track(|_| true)?;
        let losses = objective::task_losses(problem, &leaves, &batches)?;
        let gradients = self.gradients(&leaves, &losses)?;
        let velocity = std::mem::take(&mut self.velocity);
        let rate = self.learning_rate * self.rate.factor(progress);
        let (moved, velocity) = self.sgd.step(parameters, &gradients, velocity, rate)?;
        parameters.update(moved);
        self.velocity = velocity;
        self.iteration += 1;
        let report = |(task, loss): (usize, &Tensor)| TaskLoss { task, loss: loss.detach(), regularizer: None };
        Ok(StepReport { losses: losses.iter().enumerate().map(report).collect() })
    }

    fn batches_next_step(&self) -> usize {
        1
    }

    fn state(&self) -> MethodState {
        let numbers = match &self.combine {
            Combine::Losses(weighting) => weighting.state(),
            Combine::Gradients(aggregator) => aggregator.state(),
        };
        MethodState { iteration: self.iteration, tensors: self.velocity.clone(), numbers }
    }

    fn restore(&mut self, state: MethodState) -> Result<()> {
        match &mut self.combine {
            Combine::Losses(weighting) => weighting.restore(state.numbers)?,
            Combine::Gradients(aggregator) => aggregator.restore(state.numbers)?,
        }
        self.iteration = state.iteration;
        self.velocity = state.tensors;
        Ok(())
    }
}
