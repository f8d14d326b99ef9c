//! A seam: what a device has kernels of its own for.

use candle_core::{Result, Tensor};

use crate::optimizer::Sgd;

/// Parts of a method, where somebody has something faster for a device than candle's operations in turn.
pub trait Kernels: Send + Sync {
    /// One parameter's step at learning rate `rate`, as [`Sgd`] defines it: the new value and, with momentum, the velocity. The
    /// tensors have one shape, dtype and device.
    ///
    /// # Errors
    /// If the device fails.
    fn sgd(
        &self,
        sgd: Sgd,
        parameter: &Tensor,
        gradient: &Tensor,
        velocity: Option<&Tensor>,
        rate: f64,
    ) -> Result<(Tensor, Option<Tensor>)>;

    /// `x` with every element within `bound` of that of `center`.
    ///
    /// # Errors
    /// If the device fails.
    fn clamp(&self, x: &Tensor, center: &Tensor, bound: f64) -> Result<Tensor>;

    /// `1/M sum_j KL(yhat_j || 1/M sum_n yhat_n)` of Eq. (6), a scalar in the graph: yhat_j is the softmax of `logits[j]`
    /// `[B, K, ...]`, and the mean is over batch and pixels.
    ///
    /// # Errors
    /// If the device fails.
    fn disagreement(&self, logits: &[Tensor]) -> Result<Tensor>;
}
