//! The three ways to one direction for all tasks.

use super::aggregator::{Aggregator, combine_rows};
use super::checks::{are_finite, require_one_per_task};
use super::direction::{Direction, DirectionSource};
use super::late::LateJacobian;
use super::point::{Point, TaskGradients, values_of};
use super::storage::GradientStorage;
use super::weighting::LossWeighting;
use crate::error::{Error, Result};
use crate::method::{Diagnostics, EpochSummary};
use crate::parameters::Gradients;
use crate::state_tensors::StateTensors;

/// How a [`GradientMethod`](crate::GradientMethod) makes one direction of several tasks.
pub enum Combine {
    /// By weights on the losses: one backward pass.
    Losses(Box<dyn LossWeighting>),
    /// By combining gradients: one backward pass per task, over one shared forward pass. Task-specific parameters get their
    /// own task's plain gradient.
    Gradients(Box<dyn Aggregator>),
    /// By passes of its own.
    Direction(Box<dyn DirectionSource>),
}

impl Combine {
    /// The direction of step `iteration`, counted from 0.
    ///
    /// # Errors
    /// If there is none, or a pass fails.
    pub fn direction(&mut self, point: &Point<'_>, iteration: u64) -> Result<Direction> {
        self.direction_by(point, iteration, GradientStorage::Stored)
    }

    /// As [`Combine::direction`], with gradients that are held as `storage` says.
    ///
    /// # Errors
    /// As [`Combine::direction`].
    pub fn direction_by(&mut self, point: &Point<'_>, iteration: u64, storage: GradientStorage) -> Result<Direction> {
        match self {
            Self::Losses(weighting) => weighted(weighting.as_mut(), point, iteration),
            Self::Gradients(aggregator) if storage == GradientStorage::Layerwise && !aggregator.reads_rows() => {
                let (TaskGradients { losses, values, rows }, late) = point.late_gradients()?;
                let late = LateJacobian::new(&late, point.parameters());
                let (gradients, diagnostics) =
                    combine_rows(aggregator.as_mut(), &rows, Some(late), &values, iteration)?;
                Ok(Direction { gradients, losses, diagnostics })
            }
            Self::Gradients(aggregator) => {
                let TaskGradients { losses, values, rows } = point.gradients()?;
                let (gradients, diagnostics) = aggregator.combine_all(&rows, &values, iteration)?;
                Ok(Direction { gradients, losses, diagnostics })
            }
            Self::Direction(source) => source.direction(point, iteration),
        }
    }

    /// The number of independent batches of each task that a step needs.
    pub fn independent_batches(&self) -> usize {
        match self {
            Self::Losses(_) | Self::Gradients(_) => 1,
            Self::Direction(source) => source.independent_batches(),
        }
    }

    /// The number of updates in a step; [`Combine::direction`] is called once for each.
    pub fn updates(&self, tasks: usize) -> usize {
        match self {
            Self::Losses(_) | Self::Gradients(_) => 1,
            Self::Direction(source) => source.updates(tasks),
        }
    }

    /// The numbers that it remembers between steps, by name.
    pub fn state(&self) -> Vec<(String, f64)> {
        match self {
            Self::Losses(weighting) => weighting.state(),
            Self::Gradients(aggregator) => aggregator.state(),
            Self::Direction(source) => source.state(),
        }
    }

    /// Continues from `state`, as [`Combine::state`] returned it.
    ///
    /// # Errors
    /// If `state` is another method's.
    pub fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        match self {
            Self::Losses(weighting) => weighting.restore(state),
            Self::Gradients(aggregator) => aggregator.restore(state),
            Self::Direction(source) => source.restore(state),
        }
    }

    /// The tensors that it remembers between steps, by name.
    pub fn tensors(&self) -> StateTensors {
        match self {
            Self::Losses(_) => StateTensors::new(),
            Self::Gradients(aggregator) => aggregator.tensors(),
            Self::Direction(source) => source.tensors(),
        }
    }

    /// Continues from `tensors`, as [`Combine::tensors`] returned them.
    ///
    /// # Errors
    /// If `tensors` are another method's.
    pub fn restore_tensors(&mut self, tensors: StateTensors) -> Result<()> {
        match self {
            Self::Losses(_) => tensors.expect_none(),
            Self::Gradients(aggregator) => aggregator.restore_tensors(tensors),
            Self::Direction(source) => source.restore_tensors(tensors),
        }
    }

    /// Passes the losses of an epoch on.
    ///
    /// # Errors
    /// If nothing can be learned from them.
    pub fn end_epoch(&mut self, epoch: &EpochSummary<'_>) -> Result<()> {
        match self {
            Self::Losses(weighting) => weighting.end_epoch(epoch),
            Self::Gradients(aggregator) => aggregator.end_epoch(epoch),
            Self::Direction(source) => source.end_epoch(epoch),
        }
    }

    /// The direction from gradients that the caller has computed: one row and one loss per task.
    ///
    /// # Errors
    /// If there is none, or the direction comes from passes of its own.
    pub fn of_rows(&mut self, rows: &[Gradients], losses: &[f64], iteration: u64) -> Result<(Gradients, Diagnostics)> {
        match self {
            Self::Gradients(aggregator) => aggregator.combine_all(rows, losses, iteration),
            Self::Losses(weighting) => {
                let weights = if are_finite(losses) || !weighting.reads_losses() {
                    weighting.weights(losses, iteration)?
                } else {
                    vec![1.0; losses.len()]
                };
                require_one_per_task(&weights, rows.len())?;
                let mut terms = rows.iter().zip(&weights);
                let sum = terms.try_fold(Gradients::new(), |sum, (row, &w)| sum.add_scaled(row, w))?;
                Ok((sum, Diagnostics { weights: Some(weights), ..Diagnostics::NONE }))
            }
            Self::Direction(_) => Err(Error::Mismatch {
                what: "the method that combines given gradients".into(),
                expected: "a loss weighting or an aggregator".into(),
                got: "a method with passes of its own".into(),
            }),
        }
    }

    /// Whether [`Combine::observe`] wants the losses after each step, which costs a forward pass.
    pub fn reads_losses_after(&self) -> bool {
        match self {
            Self::Losses(weighting) => weighting.reads_losses_after(),
            Self::Gradients(_) => false,
            Self::Direction(source) => source.reads_losses_after(),
        }
    }

    /// Passes on the losses `[T]` of the same batches after a step.
    ///
    /// # Errors
    /// If nothing can be learned from them.
    pub fn observe(&mut self, losses: &[f64]) -> Result<()> {
        match self {
            Self::Losses(weighting) => weighting.observe(losses),
            Self::Gradients(_) => Ok(()),
            Self::Direction(source) => source.observe(losses),
        }
    }

    /// Finds the losses after a step at the point `after` and passes them on, if they are wanted and finite.
    pub(super) fn observe_at(&mut self, after: &Point<'_>) -> Result<()> {
        if !self.reads_losses_after() {
            return Ok(());
        }
        let losses = after.losses()?;
        if are_finite(&losses) { self.observe(&losses) } else { Ok(()) }
    }
}

/// The gradient of the weighted sum of the losses. Weights that depend on the losses are found on the way if there is one
/// batch per task; for several batches, whose mean losses count, by a forward pass for each beforehand.
fn weighted(weighting: &mut dyn LossWeighting, point: &Point<'_>, iteration: u64) -> Result<Direction> {
    let (tasks, reads_losses) = (point.tasks(), weighting.reads_losses());
    let mut weigh = |values: &[f64]| -> Result<Vec<f64>> {
        let weights = if reads_losses && !are_finite(values) {
            // The plain sum: losses that are not finite show in this step's report.
            vec![1.0; tasks]
        } else {
            weighting.weights(values, iteration)?
        };
        require_one_per_task(&weights, tasks)?;
        Ok(weights)
    };
    let mut weights: Option<Vec<f64>> = match (reads_losses, point.passes()) {
        (false, _) => Some(weigh(&vec![f64::NAN; tasks])?),
        (true, 1) => None,
        (true, _) => Some(weigh(&point.losses()?)?),
    };
    let (gradients, losses) = point.weighted_gradient(|losses| {
        let known = match weights.take() {
            Some(weights) => weights,
            None => weigh(&values_of(losses)?)?,
        };
        Ok(weights.insert(known).clone())
    })?;
    Ok(Direction { gradients, losses, diagnostics: Diagnostics { weights, ..Diagnostics::NONE } })
}
