//! GLS: the geometric mean of the losses.

use mtcool_core::{LossWeighting, Result};

use crate::checks::losses_at_least_zero;

/// Geometric loss strategy (Chennupati et al. 2019, *MultiNet++: multi-stream feature aggregation and geometric loss strategy for
/// multi-task learning*).
///
/// The objective is `(prod_i L_i)^(1/T)`; the weights are its derivatives, `w_i = objective / (T L_i)`.
///
/// Scaling a loss scales all weights alike. No loss may be negative; where a loss is 0, so is the objective, and all weights are 0.
///
/// Cost of a step: the cost of Joint's step.
#[derive(Clone, Copy, Debug, Default)]
pub struct GeometricMean;

impl GeometricMean {
    /// The objective at `losses` `[T]`, and its derivatives `[T]`.
    ///
    /// # Errors
    /// If a loss is negative.
    pub fn evaluate(losses: &[f64]) -> Result<(f64, Vec<f64>)> {
        losses_at_least_zero("GLS", losses)?;
        let tasks = losses.len() as f64;
        let mean = (losses.iter().map(|loss| loss.ln()).sum::<f64>() / tasks).exp();
        if mean == 0.0 {
            return Ok((0.0, vec![0.0; losses.len()]));
        }
        Ok((mean, losses.iter().map(|loss| mean / (tasks * loss)).collect()))
    }
}

impl LossWeighting for GeometricMean {
    fn weights(&mut self, losses: &[f64], _iteration: u64) -> Result<Vec<f64>> {
        Ok(Self::evaluate(losses)?.1)
    }
}
