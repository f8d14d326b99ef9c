//! Weights under which a combination has the same projection on every gradient.

use super::eigen::Eigen;
use super::matrix::{Matrix, inner, normalized};

/// A sum below this, relative to the absolute values of its terms, is rounding.
const NOTHING: f64 = 1e-12;

/// `G^+ (|g_1|, ..., |g_T|)` divided by its sum, `^+` the pseudo-inverse; zeros where the sum is 0 to working precision.
pub(crate) fn impartial(gramian: &Matrix) -> Vec<f64> {
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
