//! Convolution as matrix products, the patches laid out as columns.

use std::ops::Range;

use candle_core::{CudaDevice, Result};
use cudarc::driver::{CudaSlice, CudaView, DeviceRepr};

use crate::cuda::Real;
use crate::cuda::gemm::{Matrices, Product, product};
use crate::cuda::launch::{Module, launch, module, threads};
use crate::geometry::Geometry;
use crate::settings::Precision;

const MODULE: Module = module!("conv");

/// The most elements of columns that are in memory at a time, unless a single sample has more.
const ELEMENTS: usize = 1 << 26;

/// `Geometry` of `conv.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Sizes {
    channels: u64,
    height: u64,
    width: u64,
    kernel_h: u64,
    kernel_w: u64,
    out_h: u64,
    out_w: u64,
    stride: u64,
    padding: u64,
    dilation: u64,
}

// SAFETY: the kernels' struct, field by field.
unsafe impl DeviceRepr for Sizes {}

impl Sizes {
    fn of(g: &Geometry) -> Self {
        let [channels, height, width, kernel_h, kernel_w, out_h, out_w, stride, padding, dilation] = [
            g.in_channels,
            g.height,
            g.width,
            g.kernel_h,
            g.kernel_w,
            g.out_h,
            g.out_w,
            g.stride,
            g.padding,
            g.dilation,
        ]
        .map(|size| size as u64);
        Self { channels, height, width, kernel_h, kernel_w, out_h, out_w, stride, padding, dilation }
    }
}

/// The samples of a batch in parts whose columns fit in memory.
fn parts(g: &Geometry) -> impl Iterator<Item = Range<usize>> {
    let (batch, samples) = (g.batch, (ELEMENTS / (g.taps() * g.out_pixels())).max(1));
    (0..batch).step_by(samples).map(move |first| first..(first + samples).min(batch))
}

/// The columns of the given samples of `x`, `[S, C kh kw, H' W']`.
fn columns<T: Real>(
    device: &CudaDevice,
    g: &Geometry,
    x: &CudaView<'_, T>,
    samples: &Range<usize>,
) -> Result<CudaSlice<T>> {
    let (sizes, count) = (Sizes::of(g), samples.len() * g.taps() * g.out_pixels());
    let x = x.slice(samples.start * g.input_len()..samples.end * g.input_len());
    // SAFETY: the kernel's parameters; every element is written.
    unsafe {
        let mut columns = device.alloc::<T>(count)?;
        launch!(device, MODULE, "columns_of", T, threads(count)?, [&x, &mut columns, &sizes, &count]);
        Ok(columns)
    }
}

pub(super) fn forward<T: Real>(
    device: &CudaDevice,
    g: &Geometry,
    (x, kernel): (&CudaView<'_, T>, &CudaView<'_, T>),
    precision: Precision,
) -> Result<CudaSlice<T>> {
    let (taps, pixels, outputs) = (g.taps(), g.out_pixels(), g.out_channels);
    // SAFETY: the products below write all samples.
    let mut y = unsafe { device.alloc::<T>(g.batch * outputs * pixels)? };
    for samples in parts(g) {
        let columns = columns(device, g, x, &samples)?;
        let of_part = Product {
            sizes: [outputs, pixels, taps],
            batch: samples.len(),
            left: Matrices::rows(taps),
            right: Matrices::rows(pixels).each(taps * pixels),
            accumulates: false,
            precision,
        };
        let mut out = y.slice_mut(samples.start * outputs * pixels..samples.end * outputs * pixels);
        product(device, &of_part, kernel, &columns.slice(..), &mut out)?;
    }
    Ok(y)
}

pub(super) fn input_gradient<T: Real>(
    device: &CudaDevice,
    g: &Geometry,
    (kernel, grad): (&CudaView<'_, T>, &CudaView<'_, T>),
    precision: Precision,
) -> Result<CudaSlice<T>> {
    let (taps, pixels, outputs, sizes) = (g.taps(), g.out_pixels(), g.out_channels, Sizes::of(g));
    // SAFETY: the kernel below writes all samples.
    let mut result = unsafe { device.alloc::<T>(g.batch * g.input_len())? };
    for samples in parts(g) {
        // SAFETY: the product writes all.
        let mut columns = unsafe { device.alloc::<T>(samples.len() * taps * pixels)? };
        let of_part = Product {
            sizes: [taps, pixels, outputs],
            batch: samples.len(),
            left: Matrices::rows(taps).t(),
            right: Matrices::rows(pixels).each(outputs * pixels),
            accumulates: false,
            precision,
        };
        let grad = grad.slice(samples.start * outputs * pixels..samples.end * outputs * pixels);
        product(device, &of_part, kernel, &grad, &mut columns.slice_mut(..))?;
        let count = samples.len() * g.input_len();
        let mut out = result.slice_mut(samples.start * g.input_len()..samples.end * g.input_len());
        // SAFETY: the kernel's parameters; every pixel is written.
        unsafe {
            launch!(device, MODULE, "sum_columns", T, threads(count)?, [&columns, &mut out, &sizes, &count]);
        }
    }
    Ok(result)
}

pub(super) fn kernel_gradient<T: Real>(
    device: &CudaDevice,
    g: &Geometry,
    (x, grad): (&CudaView<'_, T>, &CudaView<'_, T>),
    precision: Precision,
) -> Result<CudaSlice<T>> {
    let (taps, pixels, outputs) = (g.taps(), g.out_pixels(), g.out_channels);
    // SAFETY: the first product writes all.
    let mut result = unsafe { device.alloc::<T>(outputs * taps)? };
    for samples in parts(g) {
        let columns = columns(device, g, x, &samples)?;
        for (index, sample) in samples.enumerate() {
            let of_sample = Product {
                sizes: [outputs, taps, pixels],
                batch: 1,
                left: Matrices::rows(pixels),
                right: Matrices::rows(pixels).t(),
                accumulates: sample > 0,
                precision,
            };
            let grad = grad.slice(sample * outputs * pixels..(sample + 1) * outputs * pixels);
            let columns = columns.slice(index * taps * pixels..(index + 1) * taps * pixels);
            product(device, &of_sample, &grad, &columns, &mut result.slice_mut(..))?;
        }
    }
    Ok(result)
}
