//! Products with small symmetric matrices, and how large their rounding errors may be.

/// A symmetric matrix, row by row.
pub(crate) type Matrix = [Vec<f64>];

/// The relative error that a few operations in f64 may leave.
pub(crate) const ROUNDING: f64 = 8.0 * f64::EPSILON;

/// `A x`.
pub(crate) fn product(matrix: &Matrix, x: &[f64]) -> Vec<f64> {
    matrix.iter().map(|row| inner(row, x)).collect()
}

/// `|A| |x|`, with absolute values element by element: the rounding error of [`product`] is relative to this.
pub(crate) fn magnitude(matrix: &Matrix, x: &[f64]) -> Vec<f64> {
    let row_magnitude = |row: &Vec<f64>| row.iter().zip(x).map(|(a, x)| (a * x).abs()).sum();
    matrix.iter().map(row_magnitude).collect()
}

/// `a . b`.
pub(crate) fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The Gramian divided by its largest diagonal entry; `None` if all gradients are zero.
pub(crate) fn normalized(gramian: &Matrix) -> Option<Vec<Vec<f64>>> {
    let scale = (0..gramian.len()).map(|i| gramian[i][i]).fold(0.0, f64::max);
    let divide = |row: &Vec<f64>| row.iter().map(|entry| entry / scale).collect();
    (scale > 0.0).then(|| gramian.iter().map(divide).collect())
}
