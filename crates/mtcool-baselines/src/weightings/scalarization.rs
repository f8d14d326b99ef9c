//! Linear scalarisation: fixed weights of the losses.

use mtcool_core::{Error, LossWeighting, Result};

/// Linear scalarisation with given weights: one step along the gradient of `sum_i w_i L_i`.
///
/// Cost of a step: one forward and one backward pass. With positive weights its stationary points are Pareto-stationary.
#[derive(Clone, Debug)]
pub struct Scalarization {
    weights: Vec<f64>,
}

impl Scalarization {
    /// One weight per task, at least 0, not all 0.
    ///
    /// # Errors
    /// If a weight is negative or not finite, or all are 0.
    pub fn new(weights: Vec<f64>) -> Result<Self> {
        let wrong = weights.iter().find(|weight| !(**weight >= 0.0 && weight.is_finite()));
        match wrong.copied().or_else(|| weights.iter().all(|&weight| weight == 0.0).then_some(0.0)) {
            None => Ok(Self { weights }),
            Some(wrong) => Err(Error::out_of_range("weights", wrong, "numbers of at least 0, one per task, not all 0")),
        }
    }
}

impl LossWeighting for Scalarization {
    fn weights(&mut self, _losses: &[f64], _iteration: u64) -> Result<Vec<f64>> {
        Ok(self.weights.clone())
    }

    fn reads_losses(&self) -> bool {
        false
    }
}
