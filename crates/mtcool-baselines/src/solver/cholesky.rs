//! Linear systems with a positive definite matrix whose rows may differ in scale by many orders of magnitude.

use super::matrix::Matrix;

/// `A = S L L^T S` with S the square roots of A's diagonal. The scaling by S keeps L accurate for gradients of very different
/// lengths.
pub(crate) struct Cholesky {
    scale: Vec<f64>,
    lower: Vec<Vec<f64>>,
}

impl Cholesky {
    /// The factors of `matrix`; `None` if it is singular to working precision.
    pub(crate) fn new(matrix: &Matrix) -> Option<Self> {
        let n = matrix.len();
        let scale: Vec<f64> = (0..n).map(|i| matrix[i][i].max(0.0).sqrt()).collect();
        let smallest = 4.0 * n as f64 * f64::EPSILON;
        let mut lower = vec![vec![0.0; n]; n];
        for i in 0..n {
            if scale[i] == 0.0 {
                return None;
            }
            for j in 0..=i {
                let known: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
                let rest = matrix[i][j] / scale[i] / scale[j] - known;
                lower[i][j] = if i != j {
                    rest / lower[j][j]
                } else if rest > smallest {
                    rest.sqrt()
                } else {
                    return None;
                };
            }
        }
        Some(Self { scale, lower })
    }

    /// `A^-1 b`.
    pub(crate) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let n = b.len();
        let mut x: Vec<f64> = b.iter().zip(&self.scale).map(|(b, scale)| b / scale).collect();
        for i in 0..n {
            let known: f64 = (0..i).map(|k| self.lower[i][k] * x[k]).sum();
            x[i] = (x[i] - known) / self.lower[i][i];
        }
        for i in (0..n).rev() {
            let known: f64 = (i + 1..n).map(|k| self.lower[k][i] * x[k]).sum();
            x[i] = (x[i] - known) / self.lower[i][i];
        }
        x.iter().zip(&self.scale).map(|(x, scale)| x / scale).collect()
    }
}
