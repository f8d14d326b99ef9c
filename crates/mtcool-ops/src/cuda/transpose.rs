//! Transposed convolution whose windows do not overlap: a product with the kernel, laid out as tiles.

use candle_core::{CudaDevice, Result};
use cudarc::driver::{CudaSlice, CudaView};

use super::gemm::{Matrices, Product, product, rounded};
use super::launch::{Module, launch, module, threads};
use super::{Real, channel_sums};
use crate::arithmetic::Precision;

const MODULE: Module = module!("conv");

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
    fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Rows of a sample's small maps.
    fn rows(&self) -> usize {
        self.outputs * self.k * self.k
    }
}

/// `[B, O, kH, kW]`.
pub(crate) fn raise<T: Real>(
    device: &CudaDevice,
    sizes: &Raise,
    (x, kernel): (&CudaView<'_, T>, &CudaView<'_, T>),
    bias: &CudaView<'_, T>,
) -> Result<CudaSlice<T>> {
    let Raise { batch, channels, height, width, outputs, k, precision } = sizes;
    let (pixels, rows) = (sizes.pixels(), sizes.rows());
    let (mut of_x, mut of_kernel) = (None, None);
    let x = rounded(device, x, *precision, &mut of_x)?;
    let kernel = rounded(device, kernel, *precision, &mut of_kernel)?;
    let of_batch = Product {
        sizes: [rows, pixels, *channels],
        batch: *batch,
        left: Matrices::rows(rows).t(),
        right: Matrices::rows(pixels).each(channels * pixels),
        accumulates: false,
        precision: *precision,
    };
    let count = batch * rows * pixels;
    // SAFETY: the product writes all of `small`, and the kernel, whose parameters these are, all of `y`.
    unsafe {
        let mut small = device.alloc::<T>(count)?;
        product(device, &of_batch, &kernel, &x, &mut small.slice_mut(..))?;
        let mut y = device.alloc::<T>(count)?;
        launch!(device, MODULE, "tile", T, threads(count)?, [&small, bias, &mut y, outputs, height, width, k, &count]);
        Ok(y)
    }
}

/// Gradients of x, kernel and bias, those that are `wanted`, from that of the output.
pub(crate) fn raise_backward<T: Real>(
    device: &CudaDevice,
    sizes: &Raise,
    (x, kernel): (&CudaView<'_, T>, &CudaView<'_, T>),
    grad: &CudaView<'_, T>,
    wanted: [bool; 3],
) -> Result<[Option<CudaSlice<T>>; 3]> {
    let Raise { batch, channels, height, width, outputs, k, precision } = sizes;
    let (pixels, rows) = (sizes.pixels(), sizes.rows());
    let of_bias = match wanted[2] {
        true => Some(channel_sums(device, grad, (*batch, *outputs, k * k * pixels), 1.0)?),
        false => None,
    };
    let count = batch * rows * pixels;
    // SAFETY: the kernel's parameters; every element is written.
    let small = unsafe {
        let mut small = device.alloc::<T>(count)?;
        launch!(device, MODULE, "untile", T, threads(count)?, [grad, &mut small, height, width, k, &count]);
        small
    };
    let small = small.slice(..);
    let (mut of_x, mut of_kernel, mut of_small) = (None, None, None);
    let x = rounded(device, x, *precision, &mut of_x)?;
    let kernel = rounded(device, kernel, *precision, &mut of_kernel)?;
    let small = rounded(device, &small, *precision, &mut of_small)?;
    let of_x = match wanted[0] {
        true => {
            let of_batch = Product {
                sizes: [*channels, pixels, rows],
                batch: *batch,
                left: Matrices::rows(rows),
                right: Matrices::rows(pixels).each(rows * pixels),
                accumulates: false,
                precision: *precision,
            };
            // SAFETY: the product writes all.
            let mut result = unsafe { device.alloc::<T>(batch * channels * pixels)? };
            product(device, &of_batch, &kernel, &small, &mut result.slice_mut(..))?;
            Some(result)
        }
        false => None,
    };
    let of_kernel = match wanted[1] {
        true => {
            // SAFETY: the first product writes all.
            let mut result = unsafe { device.alloc::<T>(channels * rows)? };
            for sample in 0..*batch {
                let of_sample = Product {
                    sizes: [*channels, rows, pixels],
                    batch: 1,
                    left: Matrices::rows(pixels),
                    right: Matrices::rows(pixels).t(),
                    accumulates: sample > 0,
                    precision: *precision,
                };
                let x = x.slice(sample * channels * pixels..(sample + 1) * channels * pixels);
                let small = small.slice(sample * rows * pixels..(sample + 1) * rows * pixels);
                product(device, &of_sample, &x, &small, &mut result.slice_mut(..))?;
            }
            Some(result)
        }
        false => None,
    };
    Ok([of_x, of_kernel, of_bias])
}
