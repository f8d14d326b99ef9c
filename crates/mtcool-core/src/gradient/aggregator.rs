//! A seam: combinations of the tasks' gradients.

use super::convention::Convention;
use super::jacobian::Jacobian;
use crate::error::Result;
use crate::method::{Diagnostics, MethodState};
use crate::parameter_name::ParameterName;
use crate::parameters::Gradients;

/// Combines the rows g_i of the Jacobian J `[T, n]` of the losses with respect to the shared parameters into one direction.
pub trait Aggregator: Send {
    /// The combination of the rows of step `iteration`, counted from 0. Random choices follow from the iteration and from a
    /// seed of the aggregator's own. Losses and rows are finite: after a step that has diverged it is not called.
    ///
    /// # Errors
    /// If there is none, for instance because a solver does not converge.
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
        let shared: Vec<_> = rows.iter().map(|row| row.filter(ParameterName::is_shared)).collect();
        let jacobian = Jacobian::new(&shared, losses);
        let combination = if jacobian.is_finite()? {
            self.combine(&jacobian, iteration)?.scaled(self.convention().factor(rows.len()))?
        } else {
            // No combination of such rows is finite. With the plain sum, every aggregator shows it in the next losses.
            Combination::Weights(vec![1.0; rows.len()])
        };
        let mut direction = match &combination {
            Combination::Direction(direction) => direction.clone(),
            Combination::Weights(weights) | Combination::LossWeights(weights) => jacobian.weighted_sum(weights)?,
        };
        for (task, row) in rows.iter().enumerate() {
            let own = row.filter(|name| name.is_own(task));
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

    /// Continues from `state`, as [`Aggregator::state`] returned it.
    ///
    /// # Errors
    /// If `state` is not this aggregator's.
    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        MethodState { numbers: state, ..MethodState::default() }.expect_numbers(&[])
    }
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
