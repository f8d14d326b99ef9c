//! IMTL-G: the direction with the same projection on every task's gradient.

use mtcool_core::{Aggregator, Combination, Jacobian, Result};

use crate::solver::{Eigen, inner, normalized};

/// IMTL-G (Liu et al. 2021, *Towards impartial multi-task learning*).
///
/// 1. `w = G^+ (|g_1|, ..., |g_T|)`, G the Gramian, `^+` the pseudo-inverse; divided by `sum_i w_i`
/// 2. `d = sum_i w_i g_i`, so that `d . g_i / |g_i|` is the same for all i
///
/// where G has full rank (its smallest eigenvalue above `T 2.2e-16` times its largest). Weights may be negative: the common
/// projection can be, and then every loss rises. A sum of 0 leaves nothing to divide by: `d = 0`, as at points where the
/// gradients cancel.
///
/// Cost of a step: a backward pass a task, the Gramian, its eigenvectors.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImtlG;

/// Relative to its terms, a sum below this is rounding.
const NOTHING: f64 = 1e-12;

impl ImtlG {
    fn weights(gramian: &[Vec<f64>]) -> Vec<f64> {
        let tasks = gramian.len();
        let Some((gramian, _)) = normalized(gramian) else { return vec![0.0; tasks] };
        let lengths: Vec<f64> = (0..tasks).map(|i| gramian[i][i].sqrt()).collect();
        let eigen = Eigen::new(&gramian);
        let mut weights = vec![0.0; tasks];
        for (vector, value) in eigen.vectors.iter().zip(&eigen.values).take(eigen.rank()) {
            let factor = inner(vector, &lengths) / value;
            weights.iter_mut().zip(vector).for_each(|(weight, entry)| *weight += factor * entry);
        }
        let sum: f64 = weights.iter().sum();
        let size: f64 = weights.iter().map(|weight| weight.abs()).sum();
        match sum.abs() <= NOTHING * size {
            true => vec![0.0; tasks],
            false => weights.iter().map(|weight| weight / sum).collect(),
        }
    }
}

impl Aggregator for ImtlG {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        Ok(Combination::Weights(Self::weights(jacobian.gramian()?)))
    }
}
