//! IMTL-G: the direction whose projection on every task's gradient is the same.

use mtcool_core::{Aggregator, Combination, Convention, Jacobian, Result};

use crate::solver::impartial;

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

impl Aggregator for ImtlG {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        Ok(Combination::Weights(impartial(jacobian.gramian()?)))
    }

    /// The weights follow from the Gramian.
    fn reads_rows(&self) -> bool {
        false
    }

    /// The weights sum to 1.
    fn convention(&self) -> Convention {
        Convention::Mean
    }
}
