//! UPGrad: the mean of the gradients, each projected onto the directions that conflict with no task.

use mtcool_core::{Aggregator, Combination, Jacobian, Result};

use crate::solver::{Dual, shortest_above};

/// UPGrad (Quinton and Rey 2024, *Jacobian descent for multi-objective optimization*).
///
/// 1. `A = G / tr G + reg_eps I`, G the Gramian
/// 2. for each task i, `v_i = argmin v^T A v` over `v >= e_i / T`: `J^T v_i` is `g_i / T` projected onto the dual cone
///    `{d : g_j . d >= 0 for all j}`
/// 3. `d = sum_i w_i g_i`, `w = sum_i v_i`
///
/// With `reg_eps = norm_eps = 0` no task's loss rises for a short enough step, and d is linear in the lengths of the gradients.
/// `reg_eps` buys well-conditioned problems with a conflict of that order. Below a trace of `norm_eps` d is the mean.
///
/// Cost of a step: a backward pass a task, the Gramian, T problems of T unknowns.
#[derive(Clone, Copy, Debug)]
pub struct UpGrad {
    dual: Dual,
}

impl UpGrad {
    /// Both at least 0; the authors' program has 1e-4 for each.
    ///
    /// # Errors
    /// If one is out of its range.
    pub fn new(norm_eps: f64, reg_eps: f64) -> Result<Self> {
        Ok(Self { dual: Dual::new(norm_eps, reg_eps)? })
    }
}

impl Aggregator for UpGrad {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        let tasks = jacobian.tasks();
        let share = 1.0 / tasks as f64;
        let Some(matrix) = self.dual.matrix(jacobian.gramian()?) else {
            return Ok(Combination::Weights(vec![share; tasks]));
        };
        let mut weights = vec![0.0; tasks];
        for task in 0..tasks {
            let mut own = vec![0.0; tasks];
            own[task] = share;
            let projected = shortest_above(&matrix, &own)?;
            weights.iter_mut().zip(projected).for_each(|(weight, part)| *weight += part);
        }
        Ok(Combination::Weights(weights))
    }
}
