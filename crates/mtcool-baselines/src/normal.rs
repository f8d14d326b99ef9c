//! Normally distributed numbers from a seed.

use candle_core::{DType, Device, Result as TensorResult, Shape, Tensor};
use rand::RngCore;

/// A number of N(0, 1), by the transform of Box and Muller; of its two numbers only one is used.
pub(crate) fn normal(generator: &mut impl RngCore) -> f64 {
    // In (0, 1], so that the logarithm below is finite.
    let mut uniform = || ((generator.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
    (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
}

/// A tensor of `shape` with independent elements of N(0, 1), drawn on the host.
///
/// # Errors
/// If the device has no room.
pub(crate) fn normal_tensor(
    generator: &mut impl RngCore,
    shape: &Shape,
    dtype: DType,
    device: &Device,
) -> TensorResult<Tensor> {
    let drawn: Vec<f64> = (0..shape.elem_count()).map(|_| normal(generator)).collect();
    Tensor::from_vec(drawn, shape.clone(), &Device::Cpu)?.to_dtype(dtype)?.to_device(device)
}
