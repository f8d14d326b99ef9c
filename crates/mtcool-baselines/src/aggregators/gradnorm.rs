//! GradNorm: weights that bring the tasks' gradients to a common length, and to a larger one for tasks that lag behind.

use mtcool_core::{Aggregator, Combination, Convention, Jacobian, Result};

use crate::checks::{at_least_zero, losses_positive, positive};
use crate::memory;

/// GradNorm (Chen et al. 2018, *GradNorm: gradient normalization for adaptive loss balancing*).
///
/// The weights start at 1. `L_i(0)` are the losses of the first step.
///
/// 1. one step along the gradient of `sum_i w_i L_i`, with respect to the tasks' own parameters as well
/// 2. `G_i = w_i |g_i|`; `r_i = (L_i / L_i(0)) / mean_k (L_k / L_k(0))`, the inverse training rate
/// 3. `w_i <- max(0, w_i - rate |g_i| sign(G_i - mean(G) r_i^alpha))`, gradient descent on `sum_i |G_i - mean(G) r_i^alpha|`
///    where `mean(G) r_i^alpha` counts as a constant
/// 4. `w <- T w / sum_i w_i`
///
/// The authors use the gradients of the last shared layer, to save time; here they are the gradients of all shared parameters.
///
/// Cost of a step: one backward pass per task, and the lengths of the gradients. At rest the lengths `G_i` are proportional to
/// `r_i^alpha`.
#[derive(Clone, Debug)]
pub struct GradNorm {
    alpha: f64,
    rate: f64,
    /// Of this step; empty before the first one, like `first_losses`.
    weights: Vec<f64>,
    first_losses: Vec<f64>,
}

impl GradNorm {
    /// `alpha`, at least 0, says how much longer the gradients of tasks that lag behind become (the authors': 0.12 to 1.5);
    /// `weight_rate`, positive, is the learning rate of the weights.
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(alpha: f64, weight_rate: f64) -> Result<Self> {
        let (alpha, rate) = (at_least_zero("alpha", alpha)?, positive("weight_rate", weight_rate)?);
        Ok(Self { alpha, rate, weights: Vec::new(), first_losses: Vec::new() })
    }

    /// Steps 2 to 4, from the lengths `|g_i|` `[T]` and the losses `[T]`.
    fn update(&mut self, lengths: &[f64], losses: &[f64]) {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let weighted: Vec<f64> = self.weights.iter().zip(lengths).map(|(w, length)| w * length).collect();
        let progress: Vec<f64> = losses.iter().zip(&self.first_losses).map(|(now, first)| now / first).collect();
        let (length, pace) = (mean(&weighted), mean(&progress));
        let moved: Vec<f64> = (0..losses.len())
            .map(|i| {
                let relative = if pace > 0.0 { progress[i] / pace } else { 1.0 };
                let excess = weighted[i] - length * relative.max(0.0).powf(self.alpha);
                let sign = if excess == 0.0 { 0.0 } else { excess.signum() };
                (self.weights[i] - self.rate * lengths[i] * sign).max(0.0)
            })
            .collect();
        let total: f64 = moved.iter().sum();
        if total > 0.0 {
            self.weights = moved.iter().map(|w| w * losses.len() as f64 / total).collect();
        }
    }
}

impl Aggregator for GradNorm {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        let (tasks, losses) = (jacobian.tasks(), jacobian.losses());
        if self.first_losses.is_empty() {
            let name = |task| {
                format!("GradNorm, which divides losses by those of the first step: the first loss of task {task}")
            };
            losses_positive(losses, name)?;
            self.first_losses = losses.to_vec();
        }
        memory::start(&mut self.weights, tasks, 1.0)?;
        let weights = self.weights.clone();
        let gramian = jacobian.gramian()?;
        let lengths: Vec<f64> = (0..tasks).map(|i| gramian[i][i].sqrt()).collect();
        self.update(&lengths, losses);
        Ok(Combination::LossWeights(weights))
    }

    /// The weights follow from the Gramian.
    fn reads_rows(&self) -> bool {
        false
    }

    /// The weights sum to T.
    fn convention(&self) -> Convention {
        Convention::Sum
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("weight", &self.weights), ("first_loss", &self.first_losses)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        [self.weights, self.first_losses] = memory::load(state, ["weight", "first_loss"])?;
        Ok(())
    }
}
