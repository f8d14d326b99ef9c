//! LDC-MTL: weights that are learned so that the weighted losses differ little.

use mtcool_core::{LossWeighting, Result};

use crate::checks::{at_least_zero, losses_at_least_zero, losses_positive, positive};
use crate::memory;
use crate::softmax::softmax;

/// The smallest and the largest weight.
const RANGE: [f64; 2] = [0.2, 0.8];

/// LDC-MTL (Xiao et al. 2025, *LDC-MTL: balancing multi-task learning through scalable loss discrepancy control*), with a router that
/// does not read the features.
///
/// With `tau_i = L_i(0) / min_j L_j(0)`, from the losses of the first step, `l_i = L_i / tau_i` and the logits z, which start at 0:
///
/// 1. `w = softmax(z)`, each clamped to 0.2 ..= 0.8
/// 2. the objective is `sum_i w_i l_i / sum_i w_i + lambda sum_i |w_i l_i - w_{i+1} l_{i+1}|`
/// 3. the weights of the losses are its derivatives; `z <- z - rate` times its derivative with respect to z
///
/// In the paper a linear router on pooled features gives the logits; here they are parameters themselves, the router's bias, so that it
/// needs nothing of the network. A weight at the end of its range passes no derivative on. No loss may be negative, and the first ones
/// have to be positive.
///
/// Cost of a step: the cost of Joint's step.
#[derive(Clone, Debug)]
pub struct LdcMtl {
    lambda: f64,
    rate: f64,
    /// z; like the next list empty before the first step.
    logits: Vec<f64>,
    first_losses: Vec<f64>,
}

impl LdcMtl {
    /// `lambda`, at least 0, is the weight of the differences (0.01 to 0.1); `weight_rate`, positive, is the learning rate of z.
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(lambda: f64, weight_rate: f64) -> Result<Self> {
        let (lambda, rate) = (at_least_zero("lambda", lambda)?, positive("weight_rate", weight_rate)?);
        Ok(Self { lambda, rate, logits: Vec::new(), first_losses: Vec::new() })
    }

    /// `softmax(z)` `[T]` before the clamp.
    fn shares(&self) -> Vec<f64> {
        softmax(&self.logits, 1.0, 1.0)
    }

    /// The sum of the signs with which `w_i l_i` enters the differences, `[T]`.
    fn signs(products: &[f64]) -> Vec<f64> {
        let mut signs = vec![0.0; products.len()];
        for i in 1..products.len() {
            let difference = products[i - 1] - products[i];
            let sign = if difference == 0.0 { 0.0 } else { difference.signum() };
            signs[i - 1] += sign;
            signs[i] -= sign;
        }
        signs
    }
}

impl LossWeighting for LdcMtl {
    fn weights(&mut self, losses: &[f64], _iteration: u64) -> Result<Vec<f64>> {
        losses_at_least_zero("LDC-MTL", losses)?;
        if self.first_losses.is_empty() {
            let name = |task| format!("LDC-MTL, which divides by the losses of the first step: that of task {task}");
            losses_positive(losses, name)?;
            self.first_losses = losses.to_vec();
        }
        memory::start(&mut self.logits, losses.len(), 0.0)?;
        let smallest = self.first_losses.iter().copied().fold(f64::INFINITY, f64::min);
        let tau: Vec<f64> = self.first_losses.iter().map(|loss| loss / smallest).collect();
        let scaled: Vec<f64> = losses.iter().zip(&tau).map(|(loss, tau)| loss / tau).collect();
        let shares = self.shares();
        let w: Vec<f64> = shares.iter().map(|share| share.clamp(RANGE[0], RANGE[1])).collect();
        let sum: f64 = w.iter().sum();
        let products: Vec<f64> = w.iter().zip(&scaled).map(|(w, l)| w * l).collect();
        let (mean, signs) = (products.iter().sum::<f64>() / sum, Self::signs(&products));
        // The derivatives with respect to w, 0 where the clamp holds, then with respect to z.
        let of_w = |i: usize| {
            let is_free = (RANGE[0]..=RANGE[1]).contains(&shares[i]);
            if is_free { (scaled[i] - mean) / sum + self.lambda * signs[i] * scaled[i] } else { 0.0 }
        };
        let slopes: Vec<f64> = (0..losses.len()).map(of_w).collect();
        let mean_slope: f64 = slopes.iter().zip(&shares).map(|(slope, share)| slope * share).sum();
        for ((logit, share), slope) in self.logits.iter_mut().zip(&shares).zip(&slopes) {
            *logit -= self.rate * share * (slope - mean_slope);
        }
        Ok((0..losses.len()).map(|i| (w[i] / sum + self.lambda * signs[i] * w[i]) / tau[i]).collect())
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("logit", &self.logits), ("first_loss", &self.first_losses)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        [self.logits, self.first_losses] = memory::load(state, ["logit", "first_loss"])?;
        Ok(())
    }
}
