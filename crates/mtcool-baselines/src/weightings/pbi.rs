//! PBI: how far the losses are along a given direction, and how far beside it.

use mtcool_core::{Error, LossWeighting, Result};

use crate::checks::{all_finite, at_least_zero, one_per_task_or_none};
use crate::solver::inner;

/// Added to the squared distance from the direction, so that its root has a derivative everywhere.
const EPS: f64 = 1e-12;

/// Penalty-based boundary intersection (Zhang and Li 2007, *MOEA/D: a multiobjective evolutionary algorithm based on decomposition*).
///
/// With `f = L - z` and the unit vector `u = r / |r|` of the preferences:
///
/// 1. `d_1 = f . u`, `d_2 = sqrt(|f - d_1 u|^2 + 1e-12)`
/// 2. the objective is `d_1 + theta d_2`; the weights are its derivatives, `u + theta (f - d_1 u) / d_2`
///
/// For a large theta the losses end in the proportions of r. Weights may be negative, and then a loss rises on purpose.
///
/// Cost of a step: the cost of Joint's step.
#[derive(Clone, Debug)]
pub struct Pbi {
    theta: f64,
    preference: Vec<f64>,
    ideal: Vec<f64>,
}

impl Pbi {
    /// `theta` is at least 0 (5); `preference` has one number of at least 0 per task, not all 0, or none, which means equal ones;
    /// `ideal` z has one number per task, or none, which means 0 for all.
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(theta: f64, preference: Vec<f64>, ideal: Vec<f64>) -> Result<Self> {
        let wrong = preference.iter().find(|r| !(**r >= 0.0 && r.is_finite())).copied();
        let is_zero = !preference.is_empty() && preference.iter().all(|&r| r == 0.0);
        if let Some(wrong) = wrong.or_else(|| is_zero.then_some(0.0)) {
            let expected = "numbers of at least 0, one per task, not all 0, or none";
            return Err(Error::out_of_range("preference", wrong, expected));
        }
        all_finite("ideal", &ideal)?;
        Ok(Self { theta: at_least_zero("theta", theta)?, preference, ideal })
    }

    /// The objective at `losses` `[T]`, and its derivatives `[T]`.
    ///
    /// # Errors
    /// If a list of the settings has not one number per task.
    pub fn evaluate(&self, losses: &[f64]) -> Result<(f64, Vec<f64>)> {
        let tasks = losses.len();
        one_per_task_or_none("preference", &self.preference, tasks)?;
        one_per_task_or_none("ideal", &self.ideal, tasks)?;
        let equal = vec![1.0; tasks];
        let r = if self.preference.is_empty() { &equal } else { &self.preference };
        let length = inner(r, r).sqrt();
        let u: Vec<f64> = r.iter().map(|r| r / length).collect();
        let f: Vec<f64> =
            losses.iter().enumerate().map(|(i, loss)| loss - self.ideal.get(i).copied().unwrap_or(0.0)).collect();
        let along = inner(&f, &u);
        let beside: Vec<f64> = f.iter().zip(&u).map(|(f, u)| f - along * u).collect();
        let distance = (inner(&beside, &beside) + EPS).sqrt();
        let weights = u.iter().zip(&beside).map(|(u, b)| u + self.theta * b / distance).collect();
        Ok((along + self.theta * distance, weights))
    }
}

impl LossWeighting for Pbi {
    fn weights(&mut self, losses: &[f64], _iteration: u64) -> Result<Vec<f64>> {
        Ok(self.evaluate(losses)?.1)
    }
}
