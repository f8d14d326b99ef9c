//! The root of `G x = c x^(-1/alpha)`: the weights of the methods that maximise a sum of alpha-fair utilities.

use mtcool_core::{Error, Result};

use super::cholesky::Cholesky;
use super::matrix::{Matrix, inner, magnitude, product};

/// Newton steps before the search is given up.
const MAX_STEPS: usize = 500;
/// Steps after the equations are met to rounding, for the digits that cancel in them.
const POLISH: usize = 2;

/// The x > 0 `[T]` with `(G x)_i = c_i x_i^(-1/alpha)` for all i, where `factors` holds the positive `c_i`. A row of the Gramian
/// G that is zero takes part in no other equation and gets 0. All entries are 0 if there is no solution to working precision,
/// for instance because two rows are exactly opposite.
///
/// x minimises the convex function `1/2 x^T G x - sum_i c_i psi(x_i)`, `psi'(x) = x^(-1/alpha)`. Newton's method finds it in the
/// unknowns `y_i = x_i / s_i`, `s_i = (c_i / G_ii)^(alpha / (1 + alpha))`, which are 1 if the rows are orthogonal.
///
/// # Errors
/// If the steps do not converge, which happens only where the Gramian has NaNs.
pub(crate) fn fair_root(gramian: &Matrix, factors: &[f64], alpha: f64) -> Result<Vec<f64>> {
    let tasks = gramian.len();
    let present: Vec<usize> = (0..tasks).filter(|&i| gramian[i][i] > 0.0).collect();
    let scale = |&i: &usize| (factors[i] / gramian[i][i]).powf(alpha / (1.0 + alpha));
    let scales: Vec<f64> = present.iter().map(scale).collect();
    let scaled = |(i, s): (&usize, &f64)| -> Vec<f64> {
        present.iter().zip(&scales).map(|(&j, t)| s * gramian[*i][j] * t).collect()
    };
    let matrix: Vec<Vec<f64>> = present.iter().zip(&scales).map(scaled).collect();
    let mut x = vec![0.0; tasks];
    if let Some(y) = (Equations { matrix: &matrix, power: 1.0 / alpha }).root()? {
        present.iter().zip(scales).zip(y).for_each(|((&i, s), y)| x[i] = s * y);
    }
    Ok(x)
}

/// `A y = diag(A) y^(-power)`.
struct Equations<'a> {
    matrix: &'a Matrix,
    power: f64,
}

impl Equations<'_> {
    /// The root; `None` if there is none to working precision.
    fn root(&self) -> Result<Option<Vec<f64>>> {
        let unknowns = self.matrix.len();
        let mut y = vec![1.0; unknowns];
        let mut polished = 0;
        for _ in 0..MAX_STEPS {
            let residual = self.residual(&y);
            let sizes = magnitude(self.matrix, &y);
            let rounding = |size: f64| 8.0 * f64::EPSILON * unknowns as f64 * size;
            if residual.iter().zip(&sizes).all(|(r, size)| r.abs() <= rounding(*size)) {
                // The right side is lost in the rounding of the left one: the rows cancel, and y would grow without end.
                if (0..unknowns).any(|i| self.right(i, y[i]) <= 8.0 * rounding(sizes[i])) {
                    return Ok(None);
                }
                if polished == POLISH {
                    return Ok(Some(y));
                }
                polished += 1;
            }
            let mut hessian = self.matrix.to_vec();
            for (i, y) in y.iter().enumerate() {
                hessian[i][i] += self.power * self.right(i, *y) / y;
            }
            let Some(factor) = Cholesky::new(&hessian) else { return Ok(None) };
            let step = factor.solve(&residual);
            match self.moved(&y, &step, inner(&residual, &step)) {
                Some(moved) => y = moved,
                None => return Ok(Some(y)),
            }
        }
        Err(Error::Mismatch {
            what: format!("fair weights of {unknowns} tasks"),
            expected: format!("a solution within {MAX_STEPS} steps"),
            got: format!("none; weights so far {y:?}"),
        })
    }

    /// `A_ii y^(-power)`.
    fn right(&self, i: usize, y: f64) -> f64 {
        self.matrix[i][i] * y.powf(-self.power)
    }

    /// The gradient of the convex function.
    fn residual(&self, y: &[f64]) -> Vec<f64> {
        product(self.matrix, y).iter().enumerate().map(|(i, left)| left - self.right(i, y[i])).collect()
    }

    /// y after as much of `step` as keeps all entries positive and does not pass the minimum along it by far; `decrease` is the
    /// slope at the start. `None` if no part of the step helps: y is exact but for rounding.
    fn moved(&self, y: &[f64], step: &[f64], decrease: f64) -> Option<Vec<f64>> {
        let limits = y.iter().zip(step).filter(|(_, step)| **step > 0.0).map(|(y, step)| 0.9 * y / step);
        let mut part = limits.fold(1.0, f64::min);
        for _ in 0..60 {
            let moved: Vec<f64> = y.iter().zip(step).map(|(y, step)| y - part * step).collect();
            // The function's slope along the step, negative before the minimum.
            let slope = -inner(&self.residual(&moved), step);
            if slope <= 0.5 * decrease.abs() {
                return Some(moved);
            }
            part *= 0.5;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_fulfils_its_equations_at_any_scale() {
        let rows = [[1.0, 0.3, -0.2], [-4e3, 1e3, 2e2], [1e-4, -3e-4, 5e-4]];
        let gramian: Vec<Vec<f64>> = rows.iter().map(|a| rows.iter().map(|b| inner(a, b)).collect()).collect();
        for alpha in [0.5, 1.0, 2.0] {
            let x = fair_root(&gramian, &[1.0, 2.0, 0.5], alpha).unwrap();
            for ((left, x), c) in product(&gramian, &x).iter().zip(&x).zip([1.0, 2.0, 0.5]) {
                let right = c * x.powf(-1.0 / alpha);
                assert!((left / right - 1.0).abs() < 1e-6, "alpha {alpha}: {left} and {right}");
            }
        }
    }

    #[test]
    fn a_zero_row_gets_nothing_and_opposite_rows_have_no_root() {
        let x = fair_root(&[vec![4.0, 0.0], vec![0.0, 0.0]], &[1.0, 1.0], 1.0).unwrap();
        assert_eq!(x, [0.5, 0.0]);
        for alpha in [0.5, 1.0, 2.0, 5.0] {
            assert_eq!(fair_root(&[vec![1.0, -2.0], vec![-2.0, 4.0]], &[1.0, 1.0], alpha).unwrap(), [0.0, 0.0]);
        }
    }
}
