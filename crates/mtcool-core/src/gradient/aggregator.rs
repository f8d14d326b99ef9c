//! [`Aggregator`]: combinations of the tasks' gradients.

use super::checks::require_one_per_task;
use super::convention::Convention;
use super::jacobian::Jacobian;
use super::late::LateJacobian;
use crate::error::Result;
use crate::method::{Diagnostics, EpochSummary, MethodState};
use crate::parameter_name::ParameterName;
use crate::parameters::Gradients;
use crate::state_tensors::StateTensors;

/// Combines the rows g_i of the Jacobian J `[T, n]` of the losses with respect to the shared parameters into one direction.
pub trait Aggregator: Send {
    /// The combination of the rows of step `iteration`, counted from 0. Random choices follow from the iteration and from a
    /// seed of the aggregator's own. Losses and rows are finite: after a step that has diverged it is not called.
    ///
    /// # Errors
    /// If there is none, for instance because a solver does not converge.
    fn combine(&mut self, jacobian: &Jacobian<'_>, iteration: u64) -> Result<Combination>;

    /// Whether it reads the rows themselves, and not only their inner products and losses. Of an aggregator that says `false`, which
    /// returns weights, the gradients of large parameters need not be kept: see [`GradientStorage::Layerwise`].
    ///
    /// [`GradientStorage::Layerwise`]: super::GradientStorage::Layerwise
    fn reads_rows(&self) -> bool {
        true
    }

    /// How long the combination is relative to the sum of the gradients. Say [`Convention::Mean`] where the weights of the
    /// gradients sum to 1.
    fn convention(&self) -> Convention {
        Convention::Sum
    }

    /// One direction for all parameters of the rows: the shared parameters get the combination, multiplied by the factor of
    /// [`Aggregator::convention`]; each task's own parameters get their gradient from the task's own row. The weights among the
    /// diagnostics are those after multiplication.
    ///
    /// # Errors
    /// As [`Aggregator::combine`].
    fn combine_all(&mut self, rows: &[Gradients], losses: &[f64], iteration: u64) -> Result<(Gradients, Diagnostics)> {
        combine_rows(self, rows, None, losses, iteration)
    }

    /// Called at the end of each epoch, before the state of the method is saved. By default it learns nothing from it.
    ///
    /// # Errors
    /// If nothing can be learned from these losses.
    fn end_epoch(&mut self, epoch: &EpochSummary<'_>) -> Result<()> {
        let _ = epoch;
        Ok(())
    }

    /// The numbers that it remembers between steps, by name.
    fn state(&self) -> Vec<(String, f64)> {
        Vec::new()
    }

    /// Continues from `state`, as [`Aggregator::state`] returned it.
    ///
    /// # Errors
    /// If `state` is not this aggregator's.
    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        MethodState { numbers: state, ..MethodState::default() }.expect_numbers(&[])
    }

    /// The tensors that it remembers between steps, such as running means of gradients.
    fn tensors(&self) -> StateTensors {
        StateTensors::new()
    }

    /// Continues from `tensors`, as [`Aggregator::tensors`] returned them. They may lie on another device than the gradients of the
    /// next step.
    ///
    /// # Errors
    /// If `tensors` are not this aggregator's.
    fn restore_tensors(&mut self, tensors: StateTensors) -> Result<()> {
        tensors.expect_none()
    }
}

/// [`Aggregator::combine_all`] of gradients of which some are `late`.
pub(super) fn combine_rows<A: Aggregator + ?Sized>(
    aggregator: &mut A,
    rows: &[Gradients],
    late: Option<LateJacobian<'_>>,
    losses: &[f64],
    iteration: u64,
) -> Result<(Gradients, Diagnostics)> {
    let shared: Vec<_> = rows.iter().map(|row| row.filter(ParameterName::is_shared)).collect();
    let jacobian = Jacobian::new(&shared, losses);
    let jacobian = match late {
        Some(late) => jacobian.with_late(late),
        None => jacobian,
    };
    let combination = if jacobian.is_finite()? {
        aggregator.combine(&jacobian, iteration)?.scaled(aggregator.convention().factor(rows.len()))?
    } else {
        // No combination of such rows is finite. With the plain sum, every aggregator shows it in the next losses.
        Combination::Weights(vec![1.0; rows.len()])
    };
    let mut direction = combination.direction(&jacobian)?;
    let own_weights = combination.own_weights();
    if let Some(weights) = own_weights {
        require_one_per_task(weights, rows.len())?;
    }
    for (task, row) in rows.iter().enumerate() {
        let own = row.filter(|name| name.is_own(task));
        direction.update(match own_weights {
            Some(weights) => Gradients::new().add_scaled(&own, weights[task])?,
            None => own,
        });
    }
    let gramian = Some(jacobian.gramian()?.to_vec());
    Ok((direction, Diagnostics { weights: combination.weights().map(<[f64]>::to_vec), gramian, ..Diagnostics::NONE }))
}

/// The result of an [`Aggregator`].
#[derive(Clone, Debug)]
pub enum Combination {
    /// The direction `sum_i w_i g_i`, by its weights: the usual answer of an aggregator that works from the Gramian.
    Weights(Vec<f64>),
    /// Weights of the losses: as [`Combination::Weights`], and task i's own parameters get `w_i` times their gradient.
    LossWeights(Vec<f64>),
    /// The direction itself, for aggregators that work coordinate by coordinate.
    Direction(Gradients),
    /// One of the others for the shared parameters; task i's own parameters get `own[i]` times their gradient.
    WithOwn {
        /// The combination of the shared parameters' gradients.
        shared: Box<Self>,
        /// One weight per task.
        own: Vec<f64>,
    },
}

impl Combination {
    /// The direction of the shared parameters that it describes for the rows of `jacobian`.
    ///
    /// # Errors
    /// If there is not one weight per row.
    pub fn direction(&self, jacobian: &Jacobian<'_>) -> Result<Gradients> {
        match self {
            Self::Direction(direction) => Ok(direction.clone()),
            Self::Weights(weights) | Self::LossWeights(weights) => jacobian.weighted_sum(weights),
            Self::WithOwn { shared, .. } => shared.direction(jacobian),
        }
    }

    /// The weights of the rows; `None` if the direction is given by itself.
    pub fn weights(&self) -> Option<&[f64]> {
        match self {
            Self::Direction(_) => None,
            Self::Weights(weights) | Self::LossWeights(weights) => Some(weights),
            Self::WithOwn { shared, .. } => shared.weights(),
        }
    }

    /// The weights of the gradients of the tasks' own parameters; `None` if these move by their plain gradients.
    pub fn own_weights(&self) -> Option<&[f64]> {
        match self {
            Self::Direction(_) | Self::Weights(_) => None,
            Self::LossWeights(weights) => Some(weights),
            Self::WithOwn { own, .. } => Some(own),
        }
    }

    /// The same combination, `factor` times as long. The weights of the tasks' own parameters change only where they are the weights
    /// of the losses.
    fn scaled(self, factor: f64) -> Result<Self> {
        if factor == 1.0 {
            return Ok(self);
        }
        let scale = |weights: Vec<f64>| weights.iter().map(|weight| factor * weight).collect();
        Ok(match self {
            Self::Weights(weights) => Self::Weights(scale(weights)),
            Self::LossWeights(weights) => Self::LossWeights(scale(weights)),
            Self::Direction(direction) => Self::Direction(Gradients::new().add_scaled(&direction, factor)?),
            Self::WithOwn { shared, own } => Self::WithOwn { shared: Box::new(shared.scaled(factor)?), own },
        })
    }
}
