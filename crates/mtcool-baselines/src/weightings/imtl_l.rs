//! IMTL-L: losses scaled so that each counts as 1.

use mtcool_core::{LossWeighting, Result};

use crate::checks::positive;
use crate::memory;

/// IMTL-L (Liu et al. 2021, *Towards impartial multi-task learning*), the part for the losses; [`Imtl`](crate::Imtl) has both.
///
/// The objective is `sum_i e^{s_i} L_i - s_i`; s starts at 0.
///
/// 1. `w_i = e^{s_i}`, the weights of this step
/// 2. `s_i <- s_i - rate (e^{s_i} L_i - 1)`, gradient descent on the same objective
///
/// Where s is at rest, every weighted loss is 1: the method then decreases `sum_i log L_i`, whatever the scales of the losses are.
///
/// Cost of a step: the cost of Joint's step.
#[derive(Clone, Debug)]
pub struct ImtlL {
    rate: f64,
    /// s; empty before the first step.
    scales: Vec<f64>,
}

impl ImtlL {
    /// `weight_rate`, positive, is the learning rate of s.
    ///
    /// # Errors
    /// If `weight_rate` is not positive or not finite.
    pub fn new(weight_rate: f64) -> Result<Self> {
        Ok(Self { rate: positive("weight_rate", weight_rate)?, scales: Vec::new() })
    }

    /// The objective at `losses` `[T]` for given s `[T]`, and its derivatives `[T]` with respect to the losses.
    pub fn evaluate(losses: &[f64], scales: &[f64]) -> (f64, Vec<f64>) {
        let weights: Vec<f64> = scales.iter().map(|s| s.exp()).collect();
        let terms = losses.iter().zip(&weights).zip(scales).map(|((loss, w), s)| w * loss - s);
        (terms.sum(), weights)
    }
}

impl LossWeighting for ImtlL {
    fn weights(&mut self, losses: &[f64], _iteration: u64) -> Result<Vec<f64>> {
        memory::start(&mut self.scales, losses.len(), 0.0)?;
        let (_, weights) = Self::evaluate(losses, &self.scales);
        for ((s, w), loss) in self.scales.iter_mut().zip(&weights).zip(losses) {
            *s -= self.rate * (w * loss - 1.0);
        }
        Ok(weights)
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("s", &self.scales)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        [self.scales] = memory::load(state, ["s"])?;
        Ok(())
    }
}
