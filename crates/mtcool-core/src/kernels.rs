//! [`Kernels`]: the parts of a training step that a device has kernels of its own for.

use candle_core::{Result, Tensor};

use crate::update::{ParameterUpdate, UpdatedParameter};

/// Parts of a training step for which a device may have something faster than candle's operations in turn.
pub trait Kernels: Send + Sync {
    /// One parameter's update. `None` if there is no kernel for that rule; the optimiser then uses candle's operations.
    fn update(&self, update: &ParameterUpdate<'_>) -> Option<Result<UpdatedParameter>>;

    /// `x` with every element moved into the interval `center - bound ..= center + bound`, `center` of the shape of `x`.
    ///
    /// # Errors
    /// If the device fails.
    fn clamp(&self, x: &Tensor, center: &Tensor, bound: f64) -> Result<Tensor>;

    /// `1/M sum_j KL(yhat_j || 1/M sum_n yhat_n)` of Eq. (6), a scalar in the graph: yhat_j is the softmax of `logits[j]`
    /// `[B, K, ...]`, and the mean is over the batch and over pixels.
    ///
    /// # Errors
    /// If the device fails.
    fn disagreement(&self, logits: &[Tensor]) -> Result<Tensor>;
}
