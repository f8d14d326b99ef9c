//! Random loss weighting.

use mtcool_core::random::{Purpose, stream};
use mtcool_core::{LossWeighting, Result};

use crate::normal::normal;

/// Random loss weighting (Lin et al. 2022, *Reasonable effectiveness of random weighting*), with normally distributed logits.
///
/// 1. `z_i ~ N(0, 1)` for every task, drawn again in every step
/// 2. `w = softmax(z)`
///
/// Cost of a step: the cost of Joint's step. The expectation of every weight is 1/T: in the mean it is a descent of the mean
/// loss, 1/T of Joint's step, with noise.
#[derive(Clone, Copy, Debug)]
pub struct RandomWeighting {
    seed: u64,
}

impl RandomWeighting {
    /// The weights follow from `seed` and the iteration.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }
}

impl LossWeighting for RandomWeighting {
    fn weights(&mut self, losses: &[f64], iteration: u64) -> Result<Vec<f64>> {
        let at = [iteration as u32, (iteration >> 32) as u32, 0, 0];
        let mut generator = stream(self.seed, Purpose::Method, at, "rlw");
        let normal = |_| normal(&mut generator);
        let shares: Vec<f64> = (0..losses.len()).map(normal).map(f64::exp).collect();
        let total: f64 = shares.iter().sum();
        Ok(shares.iter().map(|share| share / total).collect())
    }

    fn reads_losses(&self) -> bool {
        false
    }
}
