//! What a method of one's own implements: weights on the losses, a combination of gradients, or a whole direction.

use candle_core::Tensor;

use super::{Convention, Jacobian, Point, is_own, is_shared};
use crate::error::Result;
use crate::method::{Diagnostics, MethodState};
use crate::parameters::Gradients;

/// Weights on the tasks' losses, known before any gradient: one backward pass of the weighted sum does the step.
pub trait LossWeighting: Send {
    /// One weight a task, given the losses `[T]` of step `iteration`, counted from 0. Asked for in the order of the steps,
    /// once each; what is random follows from the iteration and a seed of the weighting's own. Losses that are read are
    /// finite: a step that has diverged is not put to it.
    ///
    /// # Errors
    /// If no weights can be had from these losses.
    fn weights(&mut self, losses: &[f64], iteration: u64) -> Result<Vec<f64>>;

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

    /// Whether [`LossWeighting::observe`] is to be told the losses after the step, which costs a forward pass.
    fn reads_losses_after(&self) -> bool {
        false
    }

    /// The losses `[T]` of the same batches once the parameters have moved.
    ///
    /// # Errors
    /// If nothing can be learned from these losses.
    fn observe(&mut self, losses: &[f64]) -> Result<()> {
        let _ = losses;
        Ok(())
    }
}

/// Combines the rows g_i of the Jacobian J `[T, n]` of the losses with respect to the shared parameters into one direction.
pub trait Aggregator: Send {
    /// The combination of the rows of step `iteration`, counted from 0: what is random follows from it and a seed of the
    /// aggregator's own. Losses and rows are finite: a step that has diverged is not put to it.
    ///
    /// # Errors
    /// If there is none, such as a solver that does not converge.
    fn combine(&mut self, jacobian: &Jacobian<'_>, iteration: u64) -> Result<Combination>;

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
        let shared: Vec<_> = rows.iter().map(|row| row.filter(is_shared)).collect();
        let jacobian = Jacobian::new(&shared, losses);
        let combination = match jacobian.is_finite()? {
            true => self.combine(&jacobian, iteration)?.scaled(self.convention().factor(rows.len()))?,
            // No combination is finite then: the plain sum shows up in the next losses, whatever the aggregator.
            false => Combination::Weights(vec![1.0; rows.len()]),
        };
        let mut direction = match &combination {
            Combination::Direction(direction) => direction.clone(),
            Combination::Weights(weights) | Combination::LossWeights(weights) => jacobian.weighted_sum(weights)?,
        };
        for (task, row) in rows.iter().enumerate() {
            let own = row.filter(|name| is_own(name, task));
            direction.update(match &combination {
                Combination::LossWeights(weights) => Gradients::new().add_scaled(&own, weights[task])?,
                _ => own,
            });
        }
        let gramian = Some(jacobian.gramian()?.to_vec());
        let weights = match combination {
            Combination::Direction(_) => None,
            Combination::Weights(weights) | Combination::LossWeights(weights) => Some(weights),
        };
        Ok((direction, Diagnostics { weights, gramian }))
    }

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
    /// Weights of the losses, so that task i's own parameters get `w_i` times their gradient as well.
    LossWeights(Vec<f64>),
    /// The direction itself, for the few that work coordinate by coordinate.
    Direction(Gradients),
}

impl Combination {
    /// The same combination, `factor` times as long.
    fn scaled(self, factor: f64) -> Result<Self> {
        if factor == 1.0 {
            return Ok(self);
        }
        let scale = |weights: Vec<f64>| weights.iter().map(|weight| factor * weight).collect();
        Ok(match self {
            Self::Weights(weights) => Self::Weights(scale(weights)),
            Self::LossWeights(weights) => Self::LossWeights(scale(weights)),
            Self::Direction(direction) => Self::Direction(Gradients::new().add_scaled(&direction, factor)?),
        })
    }
}

/// Finds the direction by itself, from gradients at as many points as it likes.
pub trait DirectionSource: Send {
    /// The direction of step `iteration`, counted from 0.
    ///
    /// # Errors
    /// If there is none.
    fn direction(&mut self, point: &Point<'_>, iteration: u64) -> Result<Direction>;

    /// What it remembers between steps, by name.
    fn state(&self) -> Vec<(String, f64)> {
        Vec::new()
    }

    /// Continues from `state`, as [`DirectionSource::state`] gave it.
    ///
    /// # Errors
    /// If `state` is not this source's.
    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        MethodState { numbers: state, ..MethodState::default() }.expect_numbers(&[])
    }

    /// Whether [`DirectionSource::observe`] is to be told the losses after the step, which costs a forward pass.
    fn reads_losses_after(&self) -> bool {
        false
    }

    /// The losses `[T]` of the same batches once the parameters have moved.
    ///
    /// # Errors
    /// If nothing can be learned from these losses.
    fn observe(&mut self, losses: &[f64]) -> Result<()> {
        let _ = losses;
        Ok(())
    }
}

/// Where to go, and what was met on the way.
#[derive(Clone, Debug)]
pub struct Direction {
    /// Descended by the optimiser: of all parameters, the tasks' own included.
    pub gradients: Gradients,
    /// The losses `[T]` at the point itself, scalars on their device.
    pub losses: Vec<Tensor>,
    /// What is known without further passes.
    pub diagnostics: Diagnostics,
}
