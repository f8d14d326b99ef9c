//! STCH in the form of its authors for multi-task learning: on logarithms of losses, relative to an early epoch.

use mtcool_core::{EpochSummary, Error, LossWeighting, Result};

use crate::checks::{losses_at_least_zero, losses_positive, positive};
use crate::memory;

/// Added to losses before their logarithm is taken.
const EPS: f64 = 1e-20;

/// Smooth Tchebycheff scalarisation of logarithms (Lin et al. 2024, the authors' program for multi-task learning).
///
/// With the mean training losses m of epoch `nadir_epoch`, the objective is `T mu log sum_i exp(l_i / mu)`,
/// `l_i = log(L_i / m_i + 1e-20)`; until the end of that epoch it is `sum_i log(L_i + 1e-20)`. The weights are its derivatives.
///
/// It does not depend on the scales of the losses. For small mu it follows the task that has fallen least since that epoch. No loss
/// may be negative.
///
/// Cost of a step: the cost of Joint's step.
#[derive(Clone, Debug)]
pub struct StchLog {
    mu: f64,
    nadir_epoch: u64,
    /// m; empty until it is known.
    nadir: Vec<f64>,
}

impl StchLog {
    /// `mu` is positive (1); `nadir_epoch`, counted from 1, is the epoch whose mean losses serve as the scale (LibMTL: the fifth).
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(mu: f64, nadir_epoch: u64) -> Result<Self> {
        if nadir_epoch == 0 {
            return Err(Error::out_of_range("nadir_epoch", nadir_epoch, "at least 1"));
        }
        Ok(Self { mu: positive("mu", mu)?, nadir_epoch, nadir: Vec::new() })
    }

    /// The same with known losses m, without the first epochs.
    #[must_use]
    pub fn with_nadir(self, nadir: Vec<f64>) -> Self {
        Self { nadir, ..self }
    }

    /// The objective at `losses` `[T]`, and its derivatives `[T]`.
    ///
    /// # Errors
    /// If a loss is negative, or m is of another number of tasks.
    pub fn evaluate(&self, losses: &[f64]) -> Result<(f64, Vec<f64>)> {
        losses_at_least_zero("STCH", losses)?;
        if self.nadir.is_empty() {
            let total = losses.iter().map(|loss| (loss + EPS).ln()).sum();
            return Ok((total, losses.iter().map(|loss| 1.0 / (loss + EPS)).collect()));
        }
        let tasks = losses.len();
        memory::start(&mut self.nadir.clone(), tasks, 1.0)?;
        let ratios: Vec<f64> = losses.iter().zip(&self.nadir).map(|(loss, m)| loss / m + EPS).collect();
        let terms: Vec<f64> = ratios.iter().map(|ratio| ratio.ln() / self.mu).collect();
        let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shares: Vec<f64> = terms.iter().map(|term| (term - largest).exp()).collect();
        let sum: f64 = shares.iter().sum();
        let weight = |i: usize| tasks as f64 * shares[i] / sum / ratios[i] / self.nadir[i];
        Ok((tasks as f64 * self.mu * (largest + sum.ln()), (0..tasks).map(weight).collect()))
    }
}

impl LossWeighting for StchLog {
    fn weights(&mut self, losses: &[f64], _iteration: u64) -> Result<Vec<f64>> {
        Ok(self.evaluate(losses)?.1)
    }

    fn end_epoch(&mut self, epoch: &EpochSummary<'_>) -> Result<()> {
        if epoch.epochs == self.nadir_epoch {
            let losses = epoch.training_losses;
            let name = |task| format!("STCH: the mean training loss of task {task} in epoch {}", self.nadir_epoch);
            losses_positive(losses, name)?;
            self.nadir = losses.to_vec();
        }
        Ok(())
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("nadir", &self.nadir)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        [self.nadir] = memory::load(state, ["nadir"])?;
        Ok(())
    }
}
