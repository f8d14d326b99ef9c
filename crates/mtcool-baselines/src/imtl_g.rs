//! IMTL-G: the direction whose projection on every task's gradient is the same.

use mtcool_core::{Aggregator, Combination, Convention, Jacobian, Result};

use crate::solver::{Eigen, inner, normalized};

/// IMTL-G (Liu et al. 2021, *Towards impartial multi-task learning*).
///
/// 1. `w = G^+ (|g_1|, ..., |g_T|)`, G the Gramian, `^+` the pseudo-inverse; divided by `sum_i w_i`
/// 2. `d = sum_i w_i g_i`, so that `d . g_i / |g_i|` is the same for all i where G has full rank (its smallest eigenvalue
///    above `T 2.2e-16` times its largest)
///
/// Weights may be negative. The common projection may be negative as well, and then every loss rises. Where the sum of the
/// weights is 0 the division is impossible and `d = 0`; this happens where the gradients cancel.
///
/// Cost of a step: one backward pass per task, the Gramian, its eigenvectors.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImtlG;

/// A sum below this, relative to the absolute values of its terms, is rounding.
const NOTHING: f64 = 1e-12;

impl ImtlG {
    fn weights(gramian: &[Vec<f64>]) -> Vec<f64> {
        let tasks = gramian.len();
        let Some(gramian) = normalized(gramian) else { return vec![0.0; tasks] };
        let lengths: Vec<f64> = (0..tasks).map(|i| gramian[i][i].sqrt()).collect();
        let eigen = Eigen::new(&gramian);
        let mut weights = vec![0.0; tasks];
        for (vector, value) in eigen.vectors.iter().zip(&eigen.values).take(eigen.rank()) {
            let factor = inner(vector, &lengths) / value;
            weights.iter_mut().zip(vector).for_each(|(weight, entry)| *weight += factor * entry);
        }
        let sum: f64 = weights.iter().sum();
        let size: f64 = weights.iter().map(|weight| weight.abs()).sum();
        if sum.abs() <= NOTHING * size {
            return vec![0.0; tasks];
        }
        weights.iter().map(|weight| weight / sum).collect()
    }
}

impl Aggregator for ImtlG {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        Ok(Combination::Weights(Self::weights(jacobian.gramian()?)))
    }

    /// The weights sum to 1.
    fn convention(&self) -> Convention {
        Convention::Mean
    }
}
