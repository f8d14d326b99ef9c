//! Uncertainty weighting: each loss is divided by a learned noise level.

use mtcool_core::{LossWeighting, Result};

use crate::checks::positive;
use crate::memory;

/// Uncertainty weighting (Kendall, Gal and Cipolla 2018, *Multi-task learning using uncertainty to weigh losses*).
///
/// The objective is `sum_i L_i / sigma_i^2 + log sigma_i`, written with `s_i = log sigma_i^2`, which starts at 0.
///
/// 1. `w_i = exp(-s_i)`, the weights of this step
/// 2. `s_i <- s_i - rate (1/2 - exp(-s_i) L_i)`, gradient descent on the same objective
///
/// This is the form for classification; the form for regression, `L_i / (2 sigma_i^2)`, only starts s at another value. Where s
/// is at rest, `w_i = 1 / (2 L_i)`: the method then decreases `sum_i 1/2 log L_i`, whatever the scales of the losses are.
///
/// Cost of a step: the cost of Joint's step.
#[derive(Clone, Debug)]
pub struct Uncertainty {
    rate: f64,
    /// `s_i`; empty before the first step.
    log_variances: Vec<f64>,
}

impl Uncertainty {
    /// `weight_rate`, positive, is the learning rate of s.
    ///
    /// # Errors
    /// If `weight_rate` is not positive or not finite.
    pub fn new(weight_rate: f64) -> Result<Self> {
        Ok(Self { rate: positive("weight_rate", weight_rate)?, log_variances: Vec::new() })
    }
}

impl LossWeighting for Uncertainty {
    fn weights(&mut self, losses: &[f64], _iteration: u64) -> Result<Vec<f64>> {
        memory::start(&mut self.log_variances, losses.len(), 0.0)?;
        let weights: Vec<f64> = self.log_variances.iter().map(|s| (-s).exp()).collect();
        for ((s, w), loss) in self.log_variances.iter_mut().zip(&weights).zip(losses) {
            *s -= self.rate * (0.5 - w * loss);
        }
        Ok(weights)
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("log_variance", &self.log_variances)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        [self.log_variances] = memory::load(state, ["log_variance"])?;
        Ok(())
    }
}
