//! COSMOS: a weighted sum of the losses that rewards losses in the proportions of the weights.

use mtcool_core::{LossWeighting, Result};

use crate::checks::{at_least_zero, none_negative, one_per_task_or_none};
use crate::solver::inner;

/// The scalarisation of COSMOS (Ruchte and Grabocka 2021, *Scalable Pareto front approximation for deep multi-objective learning*).
///
/// The objective is `r . L - lambda r . L / (|r| |L|)`, with the preferences r; the second term is the cosine of the angle between the
/// losses and r, 0 where all losses or all preferences are 0. The weights are its derivatives. They may be negative for a large lambda.
///
/// In the paper, r is drawn in each step and is an input of the network; here it is fixed.
///
/// Cost of a step: the cost of Joint's step.
#[derive(Clone, Debug)]
pub struct Cosmos {
    lambda: f64,
    preference: Vec<f64>,
}

impl Cosmos {
    /// `lambda` is at least 0; `preference` has one number of at least 0 per task, or none, which means 1/T for all.
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(lambda: f64, preference: Vec<f64>) -> Result<Self> {
        none_negative("preference", &preference)?;
        Ok(Self { lambda: at_least_zero("lambda", lambda)?, preference })
    }

    /// The objective at `losses` `[T]`, and its derivatives `[T]`.
    ///
    /// # Errors
    /// If there is not one preference per task.
    pub fn evaluate(&self, losses: &[f64]) -> Result<(f64, Vec<f64>)> {
        one_per_task_or_none("preference", &self.preference, losses.len())?;
        let equal = vec![1.0 / losses.len() as f64; losses.len()];
        let r = if self.preference.is_empty() { &equal } else { &self.preference };
        let (sum, squared) = (inner(r, losses), inner(losses, losses));
        let lengths = (inner(r, r) * squared).sqrt();
        if lengths == 0.0 {
            return Ok((sum, r.clone()));
        }
        let weight = |(r, loss): (&f64, &f64)| r - self.lambda * (r - sum * loss / squared) / lengths;
        Ok((sum - self.lambda * sum / lengths, r.iter().zip(losses).map(weight).collect()))
    }
}

impl LossWeighting for Cosmos {
    fn weights(&mut self, losses: &[f64], _iteration: u64) -> Result<Vec<f64>> {
        Ok(self.evaluate(losses)?.1)
    }
}
