//! Random loss weighting.

use mtcool_core::random::{Purpose, stream};
use mtcool_core::{LossWeighting, Result};
use rand::RngCore;

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
        // In (0, 1], so that the logarithm below is finite.
        let mut uniform = || ((generator.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        // The transform of Box and Muller; of its two numbers only one is used.
        let normal = |_| (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
        let shares: Vec<f64> = (0..losses.len()).map(normal).map(f64::exp).collect();
        let total: f64 = shares.iter().sum();
        Ok(shares.iter().map(|share| share / total).collect())
    }

    fn reads_losses(&self) -> bool {
        false
    }
}
