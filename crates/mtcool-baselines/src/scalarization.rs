//! Linear scalarisation: fixed weights on the losses.

use mtcool_core::{Error, LossWeighting, Result};

/// Linear scalarisation with weights of one's own: step along the gradient of `sum_i w_i L_i`.
///
/// Cost of a step: one forward and one backward pass. With positive weights its stationary points are Pareto-stationary.
#[derive(Clone, Debug)]
pub struct Scalarization {
    weights: Vec<f64>,
}

impl Scalarization {
    /// One weight a task, at least 0, not all 0.
    ///
    /// # Errors
    /// If a weight is out of its range.
    pub fn new(weights: Vec<f64>) -> Result<Self> {
        let wrong = weights.iter().find(|weight| !(**weight >= 0.0 && weight.is_finite()));
        match wrong.copied().or_else(|| weights.iter().all(|&weight| weight == 0.0).then_some(0.0)) {
            None => Ok(Self { weights }),
            Some(wrong) => Err(Error::out_of_range("weights", wrong, "numbers of at least 0, one a task, not all 0")),
        }
    }

    /// The mean of the losses of `tasks` tasks.
    pub fn mean(tasks: usize) -> Self {
        Self { weights: vec![1.0 / tasks as f64; tasks] }
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
