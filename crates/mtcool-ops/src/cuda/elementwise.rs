//! Operations on single elements.

use candle_core::{CudaDevice, Result};
use cudarc::driver::{CudaSlice, CudaView};

use super::Real;
use super::launch::{Module, launch, module, threads};
use crate::settings::Activation;

const MODULE: Module = module!("elementwise");

/// `max(0, x)`.
pub(crate) fn relu<T: Real>(device: &CudaDevice, x: &CudaView<'_, T>) -> Result<CudaSlice<T>> {
    let count = x.len();
    // SAFETY: the kernel's parameters; each of the `count` elements is written.
    unsafe {
        let mut y = device.alloc::<T>(count)?;
        launch!(device, MODULE, "relu", T, threads(count)?, [x, &mut y, &count]);
        Ok(y)
    }
}

/// `grad` where `output > 0` (or NaN), else 0.
pub(crate) fn relu_backward<T: Real>(
    device: &CudaDevice,
    output: &CudaView<'_, T>,
    grad: &CudaView<'_, T>,
) -> Result<CudaSlice<T>> {
    let count = output.len().min(grad.len());
    // SAFETY: as in `relu`.
    unsafe {
        let mut result = device.alloc::<T>(count)?;
        launch!(device, MODULE, "relu_backward", T, threads(count)?, [output, grad, &mut result, &count]);
        Ok(result)
    }
}

/// `a + b`.
pub(crate) fn add<T: Real>(device: &CudaDevice, a: &CudaView<'_, T>, b: &CudaView<'_, T>) -> Result<CudaSlice<T>> {
    let count = a.len().min(b.len());
    // SAFETY: as in `relu`.
    unsafe {
        let mut sum = device.alloc::<T>(count)?;
        launch!(device, MODULE, "add", T, threads(count)?, [a, b, &mut sum, &count]);
        Ok(sum)
    }
}

/// `y` `[B, C, pixels]` becomes `activation(y + bias)`, `bias` `[C]`.
pub(crate) fn bias_activation<T: Real>(
    device: &CudaDevice,
    y: &mut CudaSlice<T>,
    bias: Option<&CudaView<'_, T>>,
    pixels: usize,
    activation: Activation,
) -> Result<()> {
    let (count, channels) = (y.len(), bias.map_or(1, CudaView::len));
    let (has_bias, is_relu) = (i32::from(bias.is_some()), i32::from(activation == Activation::Relu));
    if has_bias == 0 && is_relu == 0 {
        return Ok(());
    }
    // SAFETY: the kernel's parameters; without a bias it reads none.
    unsafe {
        let none = if bias.is_none() { Some(device.alloc::<T>(1)?) } else { None };
        let none = none.as_ref().map(|none| none.slice(..));
        let Some(bias) = bias.or(none.as_ref()) else { return Ok(()) };
        launch!(
            device,
            MODULE,
            "bias_activation",
            T,
            threads(count)?,
            [y, bias, &channels, &pixels, &has_bias, &is_relu, &count]
        );
    }
    Ok(())
}

/// A copy.
pub(crate) fn copied<T: Real>(device: &CudaDevice, x: &CudaView<'_, T>) -> Result<CudaSlice<T>> {
    // SAFETY: the copy writes all.
    let mut copy = unsafe { device.alloc::<T>(x.len())? };
    device.memcpy_dtod(x, &mut copy)?;
    Ok(copy)
}

/// Each sample of `a` before that of `b`.
pub(crate) fn join<T: Real>(
    device: &CudaDevice,
    a: &CudaView<'_, T>,
    b: &CudaView<'_, T>,
    batch: usize,
) -> Result<CudaSlice<T>> {
    let (count, of_a, of_b) = (a.len() + b.len(), a.len() / batch.max(1), b.len() / batch.max(1));
    // SAFETY: as in `relu`.
    unsafe {
        let mut joined = device.alloc::<T>(count)?;
        launch!(device, MODULE, "join", T, threads(count)?, [a, b, &mut joined, &of_a, &of_b, &count]);
        Ok(joined)
    }
}

/// Of each of the `batch` samples of `joined`, `len` elements from `first` on.
pub(crate) fn part<T: Real>(
    device: &CudaDevice,
    joined: &CudaView<'_, T>,
    batch: usize,
    (first, len): (usize, usize),
) -> Result<CudaSlice<T>> {
    let (of_all, count) = (joined.len() / batch.max(1), batch * len);
    assert!(first + len <= of_all, "part: past its sample");
    // SAFETY: as in `relu`.
    unsafe {
        let mut part = device.alloc::<T>(count)?;
        launch!(device, MODULE, "part", T, threads(count)?, [joined, &mut part, &of_all, &first, &len, &count]);
        Ok(part)
    }
}

/// The bf16 numbers nearest to `x`.
pub(super) fn round_bf16<T: Real>(device: &CudaDevice, x: &CudaView<'_, T>) -> Result<CudaSlice<T>> {
    let count = x.len();
    // SAFETY: as in `relu`.
    unsafe {
        let mut y = device.alloc::<T>(count)?;
        launch!(device, MODULE, "round_bf16", T, threads(count)?, [x, &mut y, &count]);
        Ok(y)
    }
}
