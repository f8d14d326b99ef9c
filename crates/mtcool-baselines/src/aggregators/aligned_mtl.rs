//! Aligned-MTL: gradients replaced by orthogonal ones of equal length before they are averaged.

use mtcool_core::{Aggregator, Combination, Convention, Jacobian, Result};

use crate::solver::{Eigen, inner, normalized};

/// The common length sigma of the aligned gradients, computed from the eigenvalues of the Gramian that are not 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlignedScale {
    /// The square root of the smallest eigenvalue: no direction becomes longer.
    #[default]
    Min,
    /// The square root of the median; of an even number of eigenvalues, the lower of the two in the middle.
    Median,
    /// The square root of the mean of the eigenvalues.
    Rmse,
}

/// Aligned-MTL (Senushkin et al. 2023, *Independent component alignment for multi-task learning*).
///
/// 1. `G = V diag(lambda) V^T`, the Gramian, without the eigenvalues that are 0
/// 2. `B = sigma V diag(1 / sqrt(lambda)) V^T`, `sigma = sqrt(min lambda)` (or median, or mean)
/// 3. `d = sum_i w_i g_i`, `w = B (1/T, ..., 1/T)`
///
/// The rows of `B J` are orthogonal and have the same length, so none of them dominates another or conflicts with it. All tasks
/// have the preference 1/T.
///
/// Cost of a step: one backward pass per task, the Gramian, its eigenvectors. It converges to a point where the mean loss is
/// stationary.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlignedMtl {
    scale: AlignedScale,
}

impl AlignedMtl {
    /// Aligned-MTL whose aligned gradients have the length that `scale` selects.
    pub fn new(scale: AlignedScale) -> Self {
        Self { scale }
    }

    fn weights(self, gramian: &[Vec<f64>]) -> Vec<f64> {
        let tasks = gramian.len();
        let mean = vec![1.0 / tasks as f64; tasks];
        let Some(gramian) = normalized(gramian) else { return mean };
        let eigen = Eigen::new(&gramian);
        let rank = eigen.rank();
        let values = &eigen.values[..rank];
        let squared = match self.scale {
            AlignedScale::Min => values[rank - 1],
            // The eigenvalues are in descending order, so the lower of two in the middle is the later one.
            AlignedScale::Median => values[rank / 2],
            AlignedScale::Rmse => values.iter().sum::<f64>() / rank as f64,
        };
        let mut weights = vec![0.0; tasks];
        for (vector, value) in eigen.vectors.iter().zip(values) {
            let factor = (squared / value).sqrt() * inner(vector, &mean);
            weights.iter_mut().zip(vector).for_each(|(weight, entry)| *weight += factor * entry);
        }
        weights
    }
}

impl Aggregator for AlignedMtl {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        Ok(Combination::Weights(self.weights(jacobian.gramian()?)))
    }

    /// The weights follow from the Gramian.
    fn reads_rows(&self) -> bool {
        false
    }

    /// The preferences sum to 1.
    fn convention(&self) -> Convention {
        Convention::Mean
    }
}
