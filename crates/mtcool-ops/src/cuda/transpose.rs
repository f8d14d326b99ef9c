//! Transposed convolution whose windows do not overlap: the input gradient of a convolution whose stride is the side of
//! its kernel.

use candle_core::{CudaDevice, Result};
use cudarc::driver::{CudaSlice, CudaView};

use super::{Real, bias_activation, channel_sums, convolution, input_gradient, kernel_gradient};
use crate::geometry::Geometry;
use crate::settings::{Activation, Precision};

/// The sizes of one transposed convolution, `x` `[batch, channels, height, width]` and kernel `[channels, outputs, k, k]`.
#[derive(Clone, Copy)]
pub(crate) struct Raise {
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) outputs: usize,
    pub(crate) k: usize,
    pub(crate) precision: Precision,
}

impl Raise {
    /// The convolution from the large map to the small one.
    fn lowering(&self) -> Geometry {
        let Self { batch, channels, height, width, outputs, k, .. } = *self;
        Geometry {
            batch,
            in_channels: outputs,
            height: k * height,
            width: k * width,
            out_channels: channels,
            kernel_h: k,
            kernel_w: k,
            out_h: height,
            out_w: width,
            stride: k,
            padding: 0,
            dilation: 1,
        }
    }

    /// Pixels of a large plane.
    fn pixels(&self) -> usize {
        self.k * self.k * self.height * self.width
    }
}

/// `[B, O, kH, kW]`.
pub(crate) fn raise<T: Real>(
    device: &CudaDevice,
    sizes: &Raise,
    (x, kernel): (&CudaView<'_, T>, &CudaView<'_, T>),
    bias: &CudaView<'_, T>,
) -> Result<CudaSlice<T>> {
    let mut y = input_gradient(device, &sizes.lowering(), (kernel, x), sizes.precision)?;
    bias_activation(device, &mut y, Some(bias), sizes.pixels(), Activation::Identity)?;
    Ok(y)
}

/// Gradients of x, kernel and bias, those that are `wanted`, from that of the output.
pub(crate) fn raise_backward<T: Real>(
    device: &CudaDevice,
    sizes: &Raise,
    (x, kernel): (&CudaView<'_, T>, &CudaView<'_, T>),
    grad: &CudaView<'_, T>,
    wanted: [bool; 3],
) -> Result<[Option<CudaSlice<T>>; 3]> {
    let (lowering, precision) = (sizes.lowering(), sizes.precision);
    let of_x = wanted[0].then(|| convolution(device, &lowering, (grad, kernel), precision)).transpose()?;
    let of_kernel = wanted[1].then(|| kernel_gradient(device, &lowering, (grad, x), precision)).transpose()?;
    let planes = (sizes.batch, sizes.outputs, sizes.pixels());
    let of_bias = wanted[2].then(|| channel_sums(device, grad, planes, 1.0)).transpose()?;
    Ok([of_x, of_kernel, of_bias])
}
