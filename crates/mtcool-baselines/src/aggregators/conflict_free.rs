//! ConFIG: the direction that has the same angle to every gradient.

use mtcool_core::{Aggregator, Combination, Jacobian, Result};

use crate::checks::{all_positive, one_per_task_or_none};
use crate::solver::conflict_free;

/// ConFIG (Liu et al. 2024, *ConFIG: towards conflict-free training of physics informed neural networks*).
///
/// 1. U: the rows `g_i / |g_i|`; a gradient that is zero stays zero
/// 2. `v = U^+ p`, `^+` the pseudo-inverse, p = (1, ..., 1) or given proportions; `u = v / |v|`
/// 3. `d = (sum_i g_i . u) u`
///
/// Where the gradients are independent, `u . g_i / |g_i|` is proportional to `p_i > 0`: d conflicts with no task. d has the length
/// of the sum of the gradients' projections onto u. `d = 0` where v is 0, which happens where two gradients are exactly opposite.
///
/// Cost of a step: one backward pass per task, the Gramian, its eigenvectors. Where gradients are nearly parallel, the Gramian has
/// too few digits, and up to three passes over the gradients correct the weights.
#[derive(Clone, Debug, Default)]
pub struct ConFig {
    preference: Vec<f64>,
}

impl ConFig {
    /// `preference` has one positive number per task, or is empty, which means 1 for all.
    ///
    /// # Errors
    /// If a number is not positive or not finite.
    pub fn new(preference: Vec<f64>) -> Result<Self> {
        all_positive("preference", &preference)?;
        Ok(Self { preference })
    }
}

impl Aggregator for ConFig {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        let tasks = jacobian.tasks();
        one_per_task_or_none("preference", &self.preference, tasks)?;
        let equal = vec![1.0; tasks];
        let preference = if self.preference.is_empty() { &equal } else { &self.preference };
        Ok(Combination::Weights(conflict_free(jacobian, preference)?))
    }
}
