//! Small problems on Gramians `[T, T]`, in f64: what the aggregators share.
//!
//! Nothing here sees a gradient. A point is a list of weights, its length that of `sum_i w_i g_i`.

mod cholesky;
mod cone;
mod dual;
mod eigen;
mod simplex;

pub(crate) use cholesky::Cholesky;
pub(crate) use cone::shortest_above;
pub(crate) use dual::Dual;
pub(crate) use eigen::Eigen;
pub(crate) use simplex::{Affine, Hull, Objective, minimize, shortest_on_simplex};

/// A symmetric matrix, row by row.
pub(crate) type Matrix = [Vec<f64>];

/// What relative error a few operations in f64 may leave.
pub(crate) const ROUNDING: f64 = 8.0 * f64::EPSILON;

/// `A x`.
pub(crate) fn product(matrix: &Matrix, x: &[f64]) -> Vec<f64> {
    matrix.iter().map(|row| inner(row, x)).collect()
}

/// `|A| |x|`, element by element: what the rounding of [`product`] is relative to.
pub(crate) fn magnitude(matrix: &Matrix, x: &[f64]) -> Vec<f64> {
    let row_magnitude = |row: &Vec<f64>| row.iter().zip(x).map(|(a, x)| (a * x).abs()).sum();
    matrix.iter().map(row_magnitude).collect()
}

/// `a . b`.
pub(crate) fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The matrix divided by its largest diagonal entry, and that entry; `None` if all rows are zero.
pub(crate) fn normalized(gramian: &Matrix) -> Option<(Vec<Vec<f64>>, f64)> {
    let scale = (0..gramian.len()).map(|i| gramian[i][i]).fold(0.0, f64::max);
    let divide = |row: &Vec<f64>| row.iter().map(|entry| entry / scale).collect();
    (scale > 0.0).then(|| (gramian.iter().map(divide).collect(), scale))
}
