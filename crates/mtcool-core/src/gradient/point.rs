//! Where a step stands, and the gradients there.

use candle_core::{DType, Tensor};

use super::{Direction, Jacobian, LossWeighting, are_finite, is_shared, one_a_task};
use crate::error::Result;
use crate::method::Diagnostics;
use crate::objective;
use crate::parameters::{Gradients, Parameters};
use crate::problem::{Batch, Problem};

/// The network, its parameters and this step's batches.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a> {
    problem: &'a Problem,
    parameters: &'a Parameters,
    batches: &'a [Batch],
}

impl<'a> Point<'a> {
    /// With one batch a task.
    pub fn new(problem: &'a Problem, parameters: &'a Parameters, batches: &'a [Batch]) -> Self {
        Self { problem, parameters, batches }
    }

    /// T, the number of tasks.
    pub fn tasks(&self) -> usize {
        self.batches.len()
    }

    /// The parameters.
    pub fn parameters(&self) -> &'a Parameters {
        self.parameters
    }

    /// The losses and their gradients: one forward pass, which T backward passes share.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn gradients(&self) -> Result<TaskGradients> {
        let leaves = self.parameters.track(|_| true)?;
        let losses = objective::task_losses(self.problem, &leaves, self.batches)?;
        let rows = losses.iter().map(|loss| leaves.backward(loss));
        let rows = rows.collect::<Result<_>>()?;
        Ok(TaskGradients { values: read(&losses)?, losses: losses.iter().map(Tensor::detach).collect(), rows })
    }

    /// The gradient of task `task`'s loss on its batch, at `parameters` instead of the point's own.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn gradient_at(&self, parameters: &Parameters, task: usize) -> Result<Gradients> {
        let leaves = parameters.track(|_| true)?;
        let Batch { input, target } = &self.batches[task];
        let output = self.problem.network().forward(&leaves, task, input)?;
        leaves.backward(&self.problem.loss(task, &output, target)?)
    }

    /// The gradient of the weighted sum of the losses: one forward, one backward pass.
    pub(super) fn weighted(&self, weighting: &mut dyn LossWeighting, iteration: u64) -> Result<Direction> {
        let leaves = self.parameters.track(|_| true)?;
        let losses = objective::task_losses(self.problem, &leaves, self.batches)?;
        let values = match weighting.reads_losses() {
            true => read(&losses)?,
            false => vec![f64::NAN; losses.len()],
        };
        let weights = match weighting.reads_losses() && !are_finite(&values) {
            // The plain sum: what is not finite shows up in this step's report.
            true => vec![1.0; losses.len()],
            false => weighting.weights(&values, iteration)?,
        };
        one_a_task(&weights, losses.len())?;
        let weighted = losses.iter().zip(&weights).map(|(loss, &w)| if w == 1.0 { Ok(loss.clone()) } else { loss * w });
        let total = objective::total(&weighted.collect::<candle_core::Result<Vec<_>>>()?)?;
        Ok(Direction {
            gradients: leaves.backward(&total)?,
            losses: losses.iter().map(Tensor::detach).collect(),
            diagnostics: Diagnostics { weights: Some(weights), gramian: None },
        })
    }

    /// The losses `[T]`, without a graph.
    pub(super) fn losses(&self) -> Result<Vec<f64>> {
        let constants = self.parameters.track(|_| false)?;
        read(&objective::task_losses(self.problem, &constants, self.batches)?)
    }
}

/// The losses of all tasks at a point, and their gradients.
#[derive(Clone, Debug)]
pub struct TaskGradients {
    /// `[T]`, scalars on their device.
    pub losses: Vec<Tensor>,
    /// Their values `[T]`.
    pub values: Vec<f64>,
    /// Each one's gradient, with respect to all parameters it depends on.
    pub rows: Vec<Gradients>,
}

impl TaskGradients {
    /// Inner products `[T, T]` of the gradients with respect to the shared parameters.
    ///
    /// # Errors
    /// If two rows disagree on a parameter's shape.
    pub fn shared_gramian(&self) -> Result<Vec<Vec<f64>>> {
        let shared: Vec<_> = self.rows.iter().map(|row| row.filter(is_shared)).collect();
        Ok(Jacobian::new(&shared, &self.values).gramian()?.to_vec())
    }
}

/// The losses' values, from their device.
fn read(losses: &[Tensor]) -> Result<Vec<f64>> {
    losses.iter().map(|loss| Ok(loss.to_dtype(DType::F64)?.to_scalar::<f64>()?)).collect()
}
