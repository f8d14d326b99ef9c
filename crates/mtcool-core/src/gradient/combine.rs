//! The three ways to one direction for all tasks.

use super::aggregator::Aggregator;
use super::checks::{are_finite, require_one_per_task};
use super::direction::{Direction, DirectionSource};
use super::point::{Point, TaskGradients, values_of};
use super::weighting::LossWeighting;
use crate::error::Result;
use crate::method::Diagnostics;

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
    pub(super) fn direction(&mut self, point: &Point<'_>, iteration: u64) -> Result<Direction> {
        match self {
            Self::Losses(weighting) => weighted(weighting.as_mut(), point, iteration),
            Self::Gradients(aggregator) => {
                let TaskGradients { losses, values, rows } = point.gradients()?;
                let (gradients, diagnostics) = aggregator.combine_all(&rows, &values, iteration)?;
                Ok(Direction { gradients, losses, diagnostics })
            }
            Self::Direction(source) => source.direction(point, iteration),
        }
    }

    pub(super) fn state(&self) -> Vec<(String, f64)> {
        match self {
            Self::Losses(weighting) => weighting.state(),
            Self::Gradients(aggregator) => aggregator.state(),
            Self::Direction(source) => source.state(),
        }
    }

    pub(super) fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        match self {
            Self::Losses(weighting) => weighting.restore(state),
            Self::Gradients(aggregator) => aggregator.restore(state),
            Self::Direction(source) => source.restore(state),
        }
    }

    /// Tells the weighting or the source the losses after a step at the point `after`, if it wants to know them.
    pub(super) fn observe(&mut self, after: &Point<'_>) -> Result<()> {
        let is_wanted = match self {
            Self::Losses(weighting) => weighting.reads_losses_after(),
            Self::Gradients(_) => false,
            Self::Direction(source) => source.reads_losses_after(),
        };
        if !is_wanted {
            return Ok(());
        }
        let losses = after.losses()?;
        match self {
            Self::Losses(weighting) if are_finite(&losses) => weighting.observe(&losses),
            Self::Direction(source) if are_finite(&losses) => source.observe(&losses),
            _ => Ok(()),
        }
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
    let mut weights: Option<Vec<f64>> = match (reads_losses, point.rounds()) {
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
    Ok(Direction { gradients, losses, diagnostics: Diagnostics { weights, gramian: None } })
}
