//! STCH: a smooth form of the largest weighted loss.

use mtcool_core::{LossWeighting, Result};

use crate::checks::{all_finite, none_negative, one_per_task_or_none, positive};

/// Smooth Tchebycheff scalarisation (Lin et al. 2024, *Smooth Tchebycheff scalarization for multi-objective optimization*).
///
/// The objective is `mu log sum_i exp(r_i (L_i - z_i) / mu)`, with the preferences r and the ideal losses z. Its derivatives are the
/// weights: `w_i = r_i softmax(r (L - z) / mu)_i`.
///
/// For small mu it is the largest `r_i (L_i - z_i)`, for large mu a weighted sum. Every minimum is Pareto-optimal, and for small enough
/// mu every Pareto-optimal point is a minimum for some r. With the preferences 1/T the weights sum to 1/T, so that the learning rate has
/// to be searched for by itself.
///
/// Cost of a step: the cost of Joint's step.
#[derive(Clone, Debug)]
pub struct Stch {
    mu: f64,
    preference: Vec<f64>,
    ideal: Vec<f64>,
}

impl Stch {
    /// `mu` is positive; `preference` has one number of at least 0 per task, or none, which means 1/T for all; `ideal` has one number
    /// per task, or none, which means 0 for all.
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(mu: f64, preference: Vec<f64>, ideal: Vec<f64>) -> Result<Self> {
        none_negative("preference", &preference)?;
        all_finite("ideal", &ideal)?;
        Ok(Self { mu: positive("mu", mu)?, preference, ideal })
    }

    /// The objective at `losses` `[T]`, and its derivatives `[T]`.
    ///
    /// # Errors
    /// If a list of the settings has not one number per task.
    pub fn evaluate(&self, losses: &[f64]) -> Result<(f64, Vec<f64>)> {
        let tasks = losses.len();
        one_per_task_or_none("preference", &self.preference, tasks)?;
        one_per_task_or_none("ideal", &self.ideal, tasks)?;
        let r = |i: usize| self.preference.get(i).copied().unwrap_or(1.0 / tasks as f64);
        let z = |i: usize| self.ideal.get(i).copied().unwrap_or(0.0);
        let terms: Vec<f64> = (0..tasks).map(|i| r(i) * (losses[i] - z(i)) / self.mu).collect();
        // Subtracting the largest changes no share and avoids overflow.
        let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shares: Vec<f64> = terms.iter().map(|term| (term - largest).exp()).collect();
        let sum: f64 = shares.iter().sum();
        let weights = shares.iter().enumerate().map(|(i, share)| r(i) * share / sum).collect();
        Ok((self.mu * (largest + sum.ln()), weights))
    }
}

impl LossWeighting for Stch {
    fn weights(&mut self, losses: &[f64], _iteration: u64) -> Result<Vec<f64>> {
        Ok(self.evaluate(losses)?.1)
    }
}
