//! The point at which a step starts, and the gradients there.

use candle_core::{DType, Tensor};

use super::jacobian::Jacobian;
use crate::batches::Batch;
use crate::error::{Error, Result};
use crate::late_gradient::LateRows;
use crate::objective;
use crate::parameter_name::ParameterName;
use crate::parameters::{Gradients, Parameters};
use crate::problem::Problem;

/// A problem, its parameters and the batches of one step.
///
/// With gradient accumulation there are several batches of each task, k of them; losses and gradients are then means over
/// the k batches, in the memory of one batch at a time.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a> {
    problem: &'a Problem,
    parameters: &'a Parameters,
    /// Where the passes are taken; `None`: at `parameters`.
    places: Option<&'a [Parameters]>,
    batches: &'a [Batch],
}

/// The tasks' losses at a [`Point`], and their gradients.
#[derive(Clone, Debug)]
pub struct TaskGradients {
    /// `[T]`, scalars on their device.
    pub losses: Vec<Tensor>,
    /// Their values `[T]`.
    pub values: Vec<f64>,
    /// The gradient of each loss, with respect to all parameters it depends on.
    pub rows: Vec<Gradients>,
}

impl<'a> Point<'a> {
    /// With one batch per task, in the order of the tasks; for gradient accumulation followed by a second batch of every task,
    /// and so on.
    pub fn new(problem: &'a Problem, parameters: &'a Parameters, batches: &'a [Batch]) -> Self {
        Self { problem, parameters, places: None, batches }
    }

    /// The same step with passes at each of `places` instead of at the parameters: losses and gradients are means over the places,
    /// of which there is at least one.
    #[must_use]
    pub fn at_places(self, places: &'a [Parameters]) -> Self {
        Self { places: Some(places), ..self }
    }

    /// The same point with one of `parts` equal parts of the batches, counted from 0: one of the independent batches that a step
    /// draws for [`DirectionSource::independent_batches`](crate::DirectionSource::independent_batches).
    #[must_use]
    pub fn part(self, part: usize, parts: usize) -> Self {
        let length = self.batches.len() / parts;
        Self { batches: &self.batches[part * length..(part + 1) * length], ..self }
    }

    /// T, the number of tasks.
    pub fn tasks(&self) -> usize {
        self.problem.tasks()
    }

    /// The parameters.
    pub fn parameters(&self) -> &'a Parameters {
        self.parameters
    }

    /// The places where passes are taken.
    fn places(&self) -> &'a [Parameters] {
        self.places.unwrap_or(std::slice::from_ref(self.parameters))
    }

    /// The number of forward passes of each task, over which losses and gradients are averaged.
    pub(super) fn passes(&self) -> usize {
        self.places().len() * self.batches.len() / self.tasks()
    }

    /// Every place with every batch of each task.
    fn rounds(&self) -> impl Iterator<Item = (&'a Parameters, &'a [Batch])> + use<'a> {
        let (batches, tasks) = (self.batches, self.tasks());
        self.places().iter().flat_map(move |place| batches.chunks(tasks).map(move |batches| (place, batches)))
    }

    /// The losses and their gradients: one forward pass, which T backward passes share, for each batch of a task.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn gradients(&self) -> Result<TaskGradients> {
        let share = 1.0 / self.passes() as f64;
        let mut rows = vec![Gradients::new(); self.tasks()];
        let mut rounds = Vec::with_capacity(self.passes());
        for (place, batches) in self.rounds() {
            let leaves = place.track(|_| true)?;
            let losses = objective::task_losses(self.problem, &leaves, batches)?;
            rounds.push(constants_of(&losses));
            // Each loss is dropped after its pass, and with it the maps that no other loss needs.
            let (problem, last) = (self.problem, losses.len() - 1);
            for (task, (row, loss)) in rows.iter_mut().zip(losses).enumerate() {
                let is_last = task == last;
                let gradients =
                    if is_last { problem.backward_last(&leaves, &loss) } else { problem.backward(&leaves, &loss) };
                *row = std::mem::take(row).add_scaled(&gradients?, share)?;
            }
        }
        let losses = means(&rounds)?;
        Ok(TaskGradients { values: values_of(&losses)?, losses, rows })
    }

    /// As [`Point::gradients`], but the gradients of large shared parameters are left to be computed by rows. There is one pass.
    ///
    /// # Errors
    /// If a tensor operation fails, or there are several passes.
    pub(super) fn late_gradients(&self) -> Result<(TaskGradients, Vec<Vec<LateRows>>)> {
        if self.passes() != 1 {
            return Err(Error::Mismatch {
                what: "gradients that are not kept".into(),
                expected: "one batch of each task per step; or gradients that are stored".into(),
                got: format!("{} batches", self.passes()),
            });
        }
        let (mut rows, mut late, mut constants) = (Vec::new(), Vec::new(), Vec::new());
        for (place, batches) in self.rounds() {
            let leaves = place.track(|_| true)?;
            let losses = leaves.with_late(|| objective::task_losses(self.problem, &leaves, batches))?;
            constants = constants_of(&losses);
            for loss in losses {
                let pass = || leaves.backward_late(&loss, ParameterName::is_shared);
                let (row, of_task) = self.problem.backward_pass(pass)?;
                rows.push(row);
                late.push(of_task);
            }
        }
        Ok((TaskGradients { values: values_of(&constants)?, losses: constants, rows }, late))
    }

    /// The gradient of task `task`'s loss on its batches, at `parameters` instead of the point's own.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn gradient_at(&self, parameters: &Parameters, task: usize) -> Result<Gradients> {
        Ok(self.loss_and_gradient_at(parameters, task)?.1)
    }

    /// The loss of task `task` on its batches at `parameters` instead of the point's own, a scalar on its device, and its gradient.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn loss_and_gradient_at(&self, parameters: &Parameters, task: usize) -> Result<(Tensor, Gradients)> {
        let share = self.tasks() as f64 / self.batches.len() as f64;
        let (mut losses, mut sum) = (Vec::new(), Gradients::new());
        for batches in self.batches.chunks(self.tasks()) {
            let leaves = parameters.track(|_| true)?;
            let loss = self.task_loss(&leaves, task, batches)?;
            sum = sum.add_scaled(&self.problem.backward_last(&leaves, &loss)?, share)?;
            losses.push(loss.detach());
        }
        Ok((objective::mean(&losses)?, sum))
    }

    /// The loss of task `task` on its batches at `parameters` instead of the point's own.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn loss_at(&self, parameters: &Parameters, task: usize) -> Result<f64> {
        let constants = parameters.track(|_| false)?;
        let losses = self.batches.chunks(self.tasks()).map(|batches| self.task_loss(&constants, task, batches));
        Ok(values_of(&[objective::mean(&losses.collect::<Result<Vec<_>>>()?)?])?[0])
    }

    fn task_loss(&self, parameters: &Parameters, task: usize, batches: &[Batch]) -> Result<Tensor> {
        let Batch { input, target } = &batches[task];
        let output = self.problem.forward(parameters, task, input)?;
        self.problem.loss(task, &output, target)
    }

    /// The gradient of the weighted sum of the losses, and the losses `[T]` without their weights: one forward and one backward
    /// pass for each batch of a task. `weigh` returns the weights, given the losses on one batch of each task.
    ///
    /// # Errors
    /// If a tensor operation fails, or `weigh` does.
    pub fn weighted_gradient(
        &self,
        mut weigh: impl FnMut(&[Tensor]) -> Result<Vec<f64>>,
    ) -> Result<(Gradients, Vec<Tensor>)> {
        let share = 1.0 / self.passes() as f64;
        let mut gradients = Gradients::new();
        let mut rounds = Vec::with_capacity(self.passes());
        for (place, batches) in self.rounds() {
            let leaves = place.track(|_| true)?;
            let losses = objective::task_losses(self.problem, &leaves, batches)?;
            let weighted = losses.iter().zip(weigh(&losses)?);
            let weighted = weighted.map(|(loss, w)| if w == 1.0 { Ok(loss.clone()) } else { loss * w });
            let total = objective::total(&weighted.collect::<candle_core::Result<Vec<_>>>()?)?;
            gradients = gradients.add_scaled(&self.problem.backward_last(&leaves, &total)?, share)?;
            rounds.push(constants_of(&losses));
        }
        Ok((gradients, means(&rounds)?))
    }

    /// The losses `[T]`, without a graph.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn losses(&self) -> Result<Vec<f64>> {
        let rounds = self.rounds().map(|(place, batches)| {
            let losses = objective::task_losses(self.problem, &place.track(|_| false)?, batches)?;
            Ok(constants_of(&losses))
        });
        values_of(&means(&rounds.collect::<Result<Vec<_>>>()?)?)
    }
}

impl TaskGradients {
    /// Inner products `[T, T]` of the gradients with respect to the shared parameters.
    ///
    /// # Errors
    /// If two rows disagree on a parameter's shape.
    pub fn shared_gramian(&self) -> Result<Vec<Vec<f64>>> {
        let shared: Vec<_> = self.rows.iter().map(|row| row.filter(ParameterName::is_shared)).collect();
        Ok(Jacobian::new(&shared, &self.values).gramian()?.to_vec())
    }
}

/// The losses without their graphs, so that the memory of the passes behind them is free again.
fn constants_of(losses: &[Tensor]) -> Vec<Tensor> {
    losses.iter().map(Tensor::detach).collect()
}

/// The mean of each task's losses over the rounds.
fn means(rounds: &[Vec<Tensor>]) -> Result<Vec<Tensor>> {
    let tasks = rounds.first().map_or(0, Vec::len);
    let of_task = |task: usize| rounds.iter().map(|losses| losses[task].clone()).collect::<Vec<_>>();
    (0..tasks).map(|task| objective::mean(&of_task(task))).collect()
}

/// The values of `losses`, read from their device.
pub(super) fn values_of(losses: &[Tensor]) -> Result<Vec<f64>> {
    losses.iter().map(|loss| Ok(loss.to_dtype(DType::F64)?.to_scalar::<f64>()?)).collect()
}
