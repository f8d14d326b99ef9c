//! DualProj: the mean gradient, projected onto the directions that conflict with no task.

use mtcool_core::{Aggregator, Combination, Convention, Jacobian, Result};

use crate::solver::{Dual, shortest_above};

/// DualProj (the projection of Lopez-Paz and Ranzato 2017, *Gradient episodic memory for continual learning*, applied to the
/// mean gradient).
///
/// 1. `A = G / tr G + reg_eps I`, G the Gramian
/// 2. `w = argmin v^T A v` over `v >= (1/T, ..., 1/T)`
/// 3. `d = sum_i w_i g_i`, the mean gradient projected onto the dual cone `{d : g_j . d >= 0 for all j}`
///
/// With `reg_eps = norm_eps = 0` no task's loss rises if the step is short enough, and d is the mean gradient wherever that
/// conflicts with no task. A positive `reg_eps` makes the problem well-conditioned and allows a conflict of the same order.
/// Where the trace of G is below `norm_eps`, d is the mean gradient.
///
/// Cost of a step: one backward pass per task, the Gramian, a problem of T unknowns.
#[derive(Clone, Copy, Debug)]
pub struct DualProj {
    dual: Dual,
}

impl DualProj {
    /// Both settings are at least 0; TorchJD has 1e-4 for each.
    ///
    /// # Errors
    /// If a setting is negative or not finite.
    pub fn new(norm_eps: f64, reg_eps: f64) -> Result<Self> {
        Ok(Self { dual: Dual::new(norm_eps, reg_eps)? })
    }
}

impl Aggregator for DualProj {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        let mean = vec![1.0 / jacobian.tasks() as f64; jacobian.tasks()];
        Ok(Combination::Weights(match self.dual.matrix(jacobian.gramian()?) {
            Some(matrix) => shortest_above(&matrix, &mean)?,
            None => mean,
        }))
    }

    /// The weights follow from the Gramian.
    fn reads_rows(&self) -> bool {
        false
    }

    /// The direction is a projection of the mean gradient.
    fn convention(&self) -> Convention {
        Convention::Mean
    }
}
