//! FairGrad: the direction that is alpha-fair to the tasks.

use mtcool_core::{Aggregator, Combination, Convention, Jacobian, Result};

use crate::checks::positive;
use crate::solver::fair_root;

/// FairGrad (Ban and Ji 2024, *Fair resource allocation in multi-task learning*).
///
/// 1. the `w > 0` with `G w = w^(-1/alpha)` (element by element), G the Gramian: its direction maximises the alpha-fair utility
///    `sum_i (g_i . d)^(1 - alpha) / (1 - alpha)` over a ball (`sum_i log g_i . d` for alpha = 1)
/// 2. `d = sum_i w_i g_i`
///
/// The weights are the minimum of a convex function, which Newton's method finds exactly. `g_i . d = w_i^(-1/alpha) > 0`: no task's
/// loss rises if the step is short enough. alpha = 1 is proportional fairness and does not depend on the lengths of the gradients;
/// a larger alpha comes closer to the best for the task that gains least. A task whose gradient is zero gets the weight 0. Where
/// gradients cancel (Pareto-stationary points) there is no solution, and all weights are 0.
///
/// The length of d is of the method's own: `T^(1 / (1 + alpha)) |g|^((1 - alpha) / (1 + alpha))` where all gradients are equal to g.
/// The authors' trainer clips the gradient of the network to length 1 besides, which is the setting `training.clip_norm` of an
/// experiment.
///
/// Cost of a step: one backward pass per task, the Gramian, about ten linear systems of T unknowns.
#[derive(Clone, Copy, Debug)]
pub struct FairGrad {
    alpha: f64,
}

impl FairGrad {
    /// `alpha` is positive (the authors': 1).
    ///
    /// # Errors
    /// If `alpha` is not positive or not finite.
    pub fn new(alpha: f64) -> Result<Self> {
        Ok(Self { alpha: positive("alpha", alpha)? })
    }
}

impl Aggregator for FairGrad {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        let gramian = jacobian.gramian()?;
        Ok(Combination::Weights(fair_root(gramian, &vec![1.0; gramian.len()], self.alpha)?))
    }

    /// The weights follow from the Gramian.
    fn reads_rows(&self) -> bool {
        false
    }

    /// The length does not grow in proportion to the gradients.
    fn convention(&self) -> Convention {
        Convention::AsIs
    }
}
