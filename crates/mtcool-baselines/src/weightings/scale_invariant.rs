//! SI: the sum of the logarithms of the losses.

use mtcool_core::{LossWeighting, Result};

use crate::checks::losses_at_least_zero;

/// Scale-invariant scalarisation: the objective is `sum_i log L_i`, the weights are its derivatives, `w_i = 1 / L_i` (Navon et al.
/// 2022 compare with it).
///
/// Scaling a loss changes nothing. No loss may be negative; the weight of a loss of 0, which has nothing left to gain, is 0.
///
/// Cost of a step: the cost of Joint's step.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScaleInvariant;

impl ScaleInvariant {
    /// The objective at `losses` `[T]`, and its derivatives `[T]`.
    ///
    /// # Errors
    /// If a loss is negative.
    pub fn evaluate(losses: &[f64]) -> Result<(f64, Vec<f64>)> {
        losses_at_least_zero("SI", losses)?;
        let weight = |loss: &f64| if *loss > 0.0 { 1.0 / loss } else { 0.0 };
        Ok((losses.iter().map(|loss| loss.ln()).sum(), losses.iter().map(weight).collect()))
    }
}

impl LossWeighting for ScaleInvariant {
    fn weights(&mut self, losses: &[f64], _iteration: u64) -> Result<Vec<f64>> {
        Ok(Self::evaluate(losses)?.1)
    }
}
