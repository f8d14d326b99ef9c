//! PCGrad: from each gradient, the part that conflicts with another task is projected away.

use mtcool_core::{Aggregator, Combination, Jacobian, Result};

use crate::orders::orders;
use crate::solver::inner;

/// PCGrad (Yu et al. 2020, *Gradient surgery for multi-task learning*).
///
/// For each task i:
///
/// 1. `p_i = g_i`
/// 2. for the other tasks j in random order: if `p_i . g_j < 0`, `p_i <- p_i - (p_i . g_j / |g_j|^2) g_j`
///
/// then `d = sum_i p_i`. Every `p_i` is a combination of the gradients, so its inner products with them follow from the
/// Gramian.
///
/// Cost of a step: one backward pass per task and the Gramian. With two tasks `d` conflicts with neither of them; with more, a
/// later projection may bring back a conflict that an earlier projection removed.
#[derive(Clone, Copy, Debug)]
pub struct PcGrad {
    seed: u64,
}

impl PcGrad {
    /// The orders of projection follow from `seed` and the iteration.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The weights `[T]` for given orders: `orders[i]` lists the other tasks in the order in which g_i is projected.
    pub fn weights(gramian: &[Vec<f64>], orders: &[Vec<usize>]) -> Vec<f64> {
        let mut weights = vec![0.0; gramian.len()];
        for (task, order) in orders.iter().enumerate() {
            let mut projected = vec![0.0; gramian.len()];
            projected[task] = 1.0;
            for &other in order {
                let product = inner(&projected, &gramian[other]);
                if product < 0.0 && gramian[other][other] > 0.0 {
                    projected[other] -= product / gramian[other][other];
                }
            }
            weights.iter_mut().zip(projected).for_each(|(weight, part)| *weight += part);
        }
        weights
    }
}

impl Aggregator for PcGrad {
    fn combine(&mut self, jacobian: &Jacobian<'_>, iteration: u64) -> Result<Combination> {
        let orders = orders(self.seed, "pcgrad", jacobian.tasks(), iteration);
        Ok(Combination::Weights(Self::weights(jacobian.gramian()?, &orders)))
    }

    /// The weights follow from the Gramian.
    fn reads_rows(&self) -> bool {
        false
    }
}
