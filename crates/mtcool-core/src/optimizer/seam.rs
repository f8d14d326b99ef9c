//! A seam: updates of single parameters by a device's own kernels.

use candle_core::{Result, Tensor};

use super::Sgd;

/// Updates of single parameters, where somebody has something faster than candle's operations in turn.
pub trait Updates: Send + Sync {
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
}
