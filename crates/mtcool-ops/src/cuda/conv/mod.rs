//! The three passes of a convolution, by cuDNN or, without cuDNN, by matrix products with patches as columns.

#[cfg(not(feature = "cudnn"))]
mod columns;
#[cfg(feature = "cudnn")]
mod dnn;

use candle_core::{CudaDevice, Result};
use cudarc::driver::{CudaSlice, CudaView};

#[cfg(not(feature = "cudnn"))]
use columns as passes;
#[cfg(feature = "cudnn")]
use dnn as passes;

use super::Real;
use super::gemm::rounded;
use crate::geometry::Geometry;
use crate::settings::Precision;

/// The output of the linear map, `[B, O, H', W']`.
pub(crate) fn convolution<T: Real>(
    device: &CudaDevice,
    g: &Geometry,
    (x, kernel): (&CudaView<'_, T>, &CudaView<'_, T>),
    precision: Precision,
) -> Result<CudaSlice<T>> {
    let (mut of_x, mut of_kernel) = (None, None);
    let x = rounded(device, x, precision, &mut of_x)?;
    let kernel = rounded(device, kernel, precision, &mut of_kernel)?;
    passes::forward(device, g, (&x, &kernel), precision)
}

/// The gradient of the input from that of the output, `[B, C, H, W]`.
pub(crate) fn input_gradient<T: Real>(
    device: &CudaDevice,
    g: &Geometry,
    (kernel, grad): (&CudaView<'_, T>, &CudaView<'_, T>),
    precision: Precision,
) -> Result<CudaSlice<T>> {
    let (mut of_kernel, mut of_grad) = (None, None);
    let kernel = rounded(device, kernel, precision, &mut of_kernel)?;
    let grad = rounded(device, grad, precision, &mut of_grad)?;
    passes::input_gradient(device, g, (&kernel, &grad), precision)
}

/// The gradient of the kernel from that of the output, `[O, C, kh, kw]`.
pub(crate) fn kernel_gradient<T: Real>(
    device: &CudaDevice,
    g: &Geometry,
    (x, grad): (&CudaView<'_, T>, &CudaView<'_, T>),
    precision: Precision,
) -> Result<CudaSlice<T>> {
    let (mut of_x, mut of_grad) = (None, None);
    let x = rounded(device, x, precision, &mut of_x)?;
    let grad = rounded(device, grad, precision, &mut of_grad)?;
    passes::kernel_gradient(device, g, (&x, &grad), precision)
}
