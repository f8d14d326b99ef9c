//! UPGrad: the mean of the gradients, each projected onto the directions that conflict with no task.

use mtcool_core::{Aggregator, Combination, Convention, Jacobian, Result};

use crate::solver::{Dual, shortest_above};

/// UPGrad (Quinton and Rey 2024, *Jacobian descent for multi-objective optimization*).
///
/// 1. `A = G / tr G + reg_eps I`, G the Gramian
/// 2. for each task i, `v_i = argmin v^T A v` over `v >= e_i / T`: `J^T v_i` is `g_i / T` projected onto the dual cone
///    `{d : g_j . d >= 0 for all j}`
/// 3. `d = sum_i w_i g_i`, `w = sum_i v_i`
///
/// With `reg_eps = norm_eps = 0` no task's loss rises if the step is short enough, and d is linear in the lengths of the
/// gradients. A positive `reg_eps` makes the problems well-conditioned and allows a conflict of the same order. Where the trace
/// of G is below `norm_eps`, d is the mean gradient.
///
/// Cost of a step: one backward pass per task, the Gramian, T problems of T unknowns.
#[derive(Clone, Copy, Debug)]
pub struct UpGrad {
    dual: Dual,
}

impl UpGrad {
    /// Both settings are at least 0; the authors' program has 1e-4 for each.
    ///
    /// # Errors
    /// If a setting is negative or not finite.
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

    /// The weights follow from the Gramian.
    fn reads_rows(&self) -> bool {
        false
    }

    /// The direction is the mean of the projected gradients.
    fn convention(&self) -> Convention {
        Convention::Mean
    }
}
