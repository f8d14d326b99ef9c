//! Eigenvalues and eigenvectors of a Gramian, by the rotations of Jacobi.

use super::matrix::Matrix;

/// `A = sum_k lambda_k v_k v_k^T`, in descending order of the eigenvalues.
pub(crate) struct Eigen {
    /// The eigenvalues `[T]`.
    pub(crate) values: Vec<f64>,
    /// The eigenvectors; `vectors[k]` belongs to `values[k]`.
    pub(crate) vectors: Vec<Vec<f64>>,
}

/// A limit that is never reached: convergence is quadratic.
const SWEEPS: usize = 60;

impl Eigen {
    /// The eigenvalues and eigenvectors of a symmetric matrix: rotations until all entries beside the diagonal are negligible.
    pub(crate) fn new(matrix: &Matrix) -> Self {
        let n = matrix.len();
        let mut a = matrix.to_vec();
        let mut v: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
        for _ in 0..SWEEPS {
            let mut rotated = false;
            for p in 0..n {
                for q in p + 1..n {
                    rotated |= rotate(&mut a, &mut v, p, q);
                }
            }
            if !rotated {
                break;
            }
        }
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&i, &j| a[j][j].total_cmp(&a[i][i]));
        Self {
            values: order.iter().map(|&k| a[k][k]).collect(),
            vectors: order.into_iter().map(|k| std::mem::take(&mut v[k])).collect(),
        }
    }

    /// The number of eigenvalues above `largest * T * 2.2e-16`: the rank as NumPy defines it.
    pub(crate) fn rank(&self) -> usize {
        let tolerance = self.values.first().map_or(0.0, |largest| largest * self.values.len() as f64 * f64::EPSILON);
        self.values.iter().take_while(|&&value| value > tolerance && value > 0.0).count()
    }
}

/// Makes entry (p, q) of `a` zero and rotates the eigenvectors, the rows of `v`, with it. Returns false, and changes nothing, if
/// the entry is negligible beside its diagonal entries.
fn rotate(a: &mut [Vec<f64>], v: &mut [Vec<f64>], p: usize, q: usize) -> bool {
    let size = (a[p][p] * a[q][q]).abs().sqrt();
    if a[p][q].abs() <= 0.1 * f64::EPSILON * size || a[p][q] == 0.0 {
        return false;
    }
    let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let c = 1.0 / t.hypot(1.0);
    let s = t * c;
    for row in a.iter_mut() {
        (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
    }
    for table in [a, v] {
        for k in 0..table[p].len() {
            (table[p][k], table[q][k]) = (c * table[p][k] - s * table[q][k], s * table[p][k] + c * table[q][k]);
        }
    }
    true
}
