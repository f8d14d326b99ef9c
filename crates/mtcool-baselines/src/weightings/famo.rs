//! FAMO: weights under which all losses fall at the same relative rate.

use mtcool_core::{LossWeighting, Result};

use crate::checks::{at_least_zero, losses_at_least_zero, positive};
use crate::memory;
use crate::softmax::softmax;

/// FAMO (Liu et al. 2023, *FAMO: fast adaptive multitask optimization*).
///
/// The logits xi start at 0.
///
/// 1. `z = softmax(xi)`; `w_i = c z_i / L_i` with c such that the weights sum to 1
/// 2. after the step, on the same batches: `delta_i = z_i (D_i - sum_j z_j D_j)`, `D_i = log L_i(before) - log L_i(after)`
/// 3. `xi <- xi - rate Adam(delta + gamma xi)`, Adam as in the authors' program (0.9, 0.999, 1e-8)
///
/// Task i gets more weight while it improves less than the others. As in the authors' program, 1e-8 is added to the losses; none
/// may be negative. The weights sum to 1.
///
/// Cost of a step: the cost of Joint's step and one more forward pass, for the losses after it. It needs no backward pass per
/// task.
#[derive(Clone, Debug)]
pub struct Famo {
    rate: f64,
    gamma: f64,
    /// xi. This list and the next three are empty before the first step.
    logits: Vec<f64>,
    /// Losses before the present step.
    before: Vec<f64>,
    /// Adam's running mean of the gradient.
    first: Vec<f64>,
    /// Adam's running mean of the squared gradient.
    second: Vec<f64>,
    updates: u32,
}

/// Added to every loss.
const SMALLEST_LOSS: f64 = 1e-8;
const BETA: [f64; 2] = [0.9, 0.999];

impl Famo {
    /// `weight_rate` is the learning rate of xi, positive (the authors': 0.025); `gamma` is its weight decay, at least 0 (0.001).
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(weight_rate: f64, gamma: f64) -> Result<Self> {
        let (rate, gamma) = (positive("weight_rate", weight_rate)?, at_least_zero("gamma", gamma)?);
        let none = Vec::new;
        Ok(Self { rate, gamma, logits: none(), before: none(), first: none(), second: none(), updates: 0 })
    }

    /// z.
    fn shares(&self) -> Vec<f64> {
        softmax(&self.logits, 1.0, 1.0)
    }
}

impl LossWeighting for Famo {
    fn weights(&mut self, losses: &[f64], _iteration: u64) -> Result<Vec<f64>> {
        for list in [&mut self.logits, &mut self.first, &mut self.second] {
            memory::start(list, losses.len(), 0.0)?;
        }
        self.before = shifted(losses)?;
        let raw: Vec<f64> = self.shares().iter().zip(&self.before).map(|(z, loss)| z / loss).collect();
        let total: f64 = raw.iter().sum();
        Ok(raw.iter().map(|weight| weight / total).collect())
    }

    fn reads_losses_after(&self) -> bool {
        true
    }

    fn observe(&mut self, losses: &[f64]) -> Result<()> {
        let gains: Vec<f64> =
            self.before.iter().zip(shifted(losses)?).map(|(before, after)| before.ln() - after.ln()).collect();
        let shares = self.shares();
        let mean: f64 = shares.iter().zip(&gains).map(|(z, gain)| z * gain).sum();
        self.updates = self.updates.saturating_add(1);
        let unbias = BETA.map(|beta| 1.0 - beta.powi(self.updates.min(1 << 20) as i32));
        for i in 0..self.logits.len() {
            let gradient = shares[i] * (gains[i] - mean) + self.gamma * self.logits[i];
            self.first[i] += (1.0 - BETA[0]) * (gradient - self.first[i]);
            self.second[i] += (1.0 - BETA[1]) * (gradient * gradient - self.second[i]);
            self.logits[i] -= self.rate * (self.first[i] / unbias[0]) / ((self.second[i] / unbias[1]).sqrt() + 1e-8);
        }
        Ok(())
    }

    fn state(&self) -> Vec<(String, f64)> {
        let updates = [f64::from(self.updates)];
        let (logits, first, second) = (&self.logits[..], &self.first[..], &self.second[..]);
        memory::save(&[("logit", logits), ("first", first), ("second", second), ("updates", &updates)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        let [logits, first, second, updates] = memory::load(state, ["logit", "first", "second", "updates"])?;
        (self.logits, self.first, self.second) = (logits, first, second);
        self.updates = updates.first().copied().unwrap_or(0.0) as u32;
        Ok(())
    }
}

/// The losses with [`SMALLEST_LOSS`] added.
///
/// # Errors
/// If a loss is negative.
fn shifted(losses: &[f64]) -> Result<Vec<f64>> {
    losses_at_least_zero("FAMO", losses)?;
    Ok(losses.iter().map(|loss| loss + SMALLEST_LOSS).collect())
}
