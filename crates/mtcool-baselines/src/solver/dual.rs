//! The regularised Gramian, from which projections onto the dual cone are computed.

use mtcool_core::Result;

use super::matrix::Matrix;
use crate::checks::at_least_zero;

/// Makes `G / tr G + reg_eps I` from a Gramian G with `tr G >= norm_eps`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dual {
    norm_eps: f64,
    reg_eps: f64,
}

impl Dual {
    /// The settings `norm_eps` and `reg_eps`, both at least 0.
    ///
    /// # Errors
    /// If a setting is negative or not finite.
    pub(crate) fn new(norm_eps: f64, reg_eps: f64) -> Result<Self> {
        Ok(Self { norm_eps: at_least_zero("norm_eps", norm_eps)?, reg_eps: at_least_zero("reg_eps", reg_eps)? })
    }

    /// The matrix `[T, T]`; `None` where `tr G` is 0 or below `norm_eps`: the gradients are too short.
    pub(crate) fn matrix(self, gramian: &Matrix) -> Option<Vec<Vec<f64>>> {
        let trace: f64 = (0..gramian.len()).map(|i| gramian[i][i]).sum();
        if trace == 0.0 || trace < self.norm_eps {
            return None;
        }
        let mut matrix: Vec<Vec<f64>> =
            gramian.iter().map(|row| row.iter().map(|entry| entry / trace).collect()).collect();
        for (i, row) in matrix.iter_mut().enumerate() {
            row[i] += self.reg_eps;
        }
        Some(matrix)
    }
}
