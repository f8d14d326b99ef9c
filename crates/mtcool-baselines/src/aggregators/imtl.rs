//! IMTL: losses scaled so that they count alike, then the direction that counts alike for every task.

use mtcool_core::{Aggregator, Combination, Convention, Jacobian, Result};

use crate::checks::positive;
use crate::memory;
use crate::solver::impartial;

/// IMTL, both parts (Liu et al. 2021, *Towards impartial multi-task learning*): IMTL-L for the losses, IMTL-G for the gradients.
///
/// The scales s start at 0.
///
/// 1. `h_i = e^{s_i} g_i`, the gradients of the scaled losses; the tasks' own parameters move by theirs
/// 2. `w = H^+ (|h_1|, ..., |h_T|)` divided by its sum, H the Gramian of the h, `^+` the pseudo-inverse
/// 3. `d = sum_i w_i h_i`, which has the same projection on every gradient
/// 4. `s_i <- s_i - rate (e^{s_i} L_i - 1)`, gradient descent on `sum_i e^{s_i} L_i - s_i`
///
/// The projection of d may be negative, and then every loss rises.
///
/// Cost of a step: one backward pass per task, the Gramian, its eigenvectors.
#[derive(Clone, Debug)]
pub struct Imtl {
    rate: f64,
    /// s; empty before the first step.
    scales: Vec<f64>,
}

impl Imtl {
    /// `weight_rate`, positive, is the learning rate of s.
    ///
    /// # Errors
    /// If `weight_rate` is not positive or not finite.
    pub fn new(weight_rate: f64) -> Result<Self> {
        Ok(Self { rate: positive("weight_rate", weight_rate)?, scales: Vec::new() })
    }
}

impl Aggregator for Imtl {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        memory::start(&mut self.scales, jacobian.tasks(), 0.0)?;
        let own: Vec<f64> = self.scales.iter().map(|s| s.exp()).collect();
        let scaled = |(row, a): (&Vec<f64>, &f64)| row.iter().zip(&own).map(|(entry, b)| a * entry * b).collect();
        let gramian: Vec<Vec<f64>> = jacobian.gramian()?.iter().zip(&own).map(scaled).collect();
        let weights = impartial(&gramian).iter().zip(&own).map(|(w, scale)| w * scale).collect();
        for ((s, scale), loss) in self.scales.iter_mut().zip(&own).zip(jacobian.losses()) {
            *s -= self.rate * (scale * loss - 1.0);
        }
        Ok(Combination::WithOwn { shared: Box::new(Combination::Weights(weights)), own })
    }

    /// The weights follow from the Gramian.
    fn reads_rows(&self) -> bool {
        false
    }

    /// The weights of the scaled gradients sum to 1.
    fn convention(&self) -> Convention {
        Convention::Mean
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("s", &self.scales)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        [self.scales] = memory::load(state, ["s"])?;
        Ok(())
    }
}
