//! Joint training: the sum of the losses.

use mtcool_core::{LossWeighting, Result};

/// Joint training (linear scalarisation with equal weights; Caruana 1997).
///
/// 1. `w_i = 1`
/// 2. one step along the gradient of `sum_i w_i L_i`
///
/// Cost of a step: one forward and one backward pass. It decreases the sum of the losses; any single loss may rise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Joint;

impl LossWeighting for Joint {
    fn weights(&mut self, losses: &[f64], _iteration: u64) -> Result<Vec<f64>> {
        Ok(vec![1.0; losses.len()])
    }

    fn reads_losses(&self) -> bool {
        false
    }
}
