//! Normalisation and its backward pass, after `norm/mod.rs`.

use candle_core::{CudaDevice, Result, WithDType};
use cudarc::driver::{CudaSlice, CudaView, DeviceRepr};

use super::Real;
use super::launch::{Module, blocks, launch, module, threads};
use super::reduce::chunks;
use crate::settings::{Activation, Norm, Statistics};

const MODULE: Module = module!("norm");

/// `Sets` of `norm.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Sets {
    batch: u64,
    channels: u64,
    groups: u64,
}

// SAFETY: the kernels' struct, field by field.
unsafe impl DeviceRepr for Sets {}

/// The sizes of one normalisation.
struct Sizes {
    sets: Sets,
    count: usize,
    planes: usize,
    pixels: usize,
    chunks: usize,
    is_relu: i32,
}

impl Sizes {
    fn new(settings: &Norm, dims: &[usize]) -> Self {
        let (batch, channels) = (dims[0], dims[1]);
        let (groups, count) = match settings.statistics {
            Statistics::Group { groups } => (groups, batch * groups),
            Statistics::Batch => (0, channels),
        };
        let pixels = dims[2..].iter().product();
        Self {
            sets: Sets { batch: batch as u64, channels: channels as u64, groups: groups as u64 },
            count,
            planes: batch * channels,
            pixels,
            chunks: chunks(pixels),
            is_relu: i32::from(settings.activation == Activation::Relu),
        }
    }
}

/// Weight and bias, `[C]` each.
pub(crate) struct Scales<'a, T> {
    pub(crate) weight: &'a CudaView<'a, T>,
    pub(crate) bias: &'a CudaView<'a, T>,
}

/// Mean and `1 / sqrt(variance + eps)` of each set, `[sets, 2]`.
fn moments<T: Real>(device: &CudaDevice, sizes: &Sizes, x: &CudaView<'_, T>, eps: f64) -> Result<CudaSlice<T>> {
    let Sizes { sets, count, planes, pixels, chunks, .. } = sizes;
    let eps = <T as WithDType>::from_f64(eps);
    // SAFETY: the kernels' parameters; a block writes each chunk and each set.
    unsafe {
        let mut partial = device.alloc::<T>(2 * planes * chunks)?;
        launch!(device, MODULE, "moment_sums", T, blocks(planes * chunks)?, [x, &mut partial, sets, pixels, chunks]);
        let mut moments = device.alloc::<T>(2 * count)?;
        launch!(device, MODULE, "moments", T, blocks(*count)?, [x, &partial, &mut moments, sets, pixels, chunks, &eps]);
        Ok(moments)
    }
}

/// `activation((x - mean) / sqrt(variance + eps) * weight + bias)` of `x` of shape `dims`.
pub(crate) fn norm<T: Real>(
    device: &CudaDevice,
    settings: &Norm,
    dims: &[usize],
    x: &CudaView<'_, T>,
    scales: &Scales<'_, T>,
) -> Result<CudaSlice<T>> {
    let sizes = Sizes::new(settings, dims);
    let moments = moments(device, &sizes, x, settings.eps)?;
    let Sizes { sets, planes, pixels, chunks, is_relu, .. } = &sizes;
    let Scales { weight, bias } = *scales;
    // SAFETY: the kernel's parameters; the chunks are the whole of y.
    unsafe {
        let mut y = device.alloc::<T>(x.len())?;
        launch!(
            device,
            MODULE,
            "norm_apply",
            T,
            blocks(planes * chunks)?,
            [x, &moments, weight, bias, &mut y, sets, pixels, chunks, is_relu]
        );
        Ok(y)
    }
}

/// Gradients of x, weight and bias from that of the output; the moments are computed again.
pub(crate) fn norm_backward<T: Real>(
    device: &CudaDevice,
    settings: &Norm,
    dims: &[usize],
    (x, grad): (&CudaView<'_, T>, &CudaView<'_, T>),
    scales: &Scales<'_, T>,
) -> Result<[CudaSlice<T>; 3]> {
    assert_eq!(x.len(), grad.len(), "norm: a gradient of another size than its output's");
    let sizes = Sizes::new(settings, dims);
    let moments = moments(device, &sizes, x, settings.eps)?;
    let Sizes { sets, count, planes, pixels, chunks, is_relu } = &sizes;
    let Scales { weight, bias } = *scales;
    let channels = dims[1];
    // SAFETY: the kernels' parameters; every element of what is allocated is written.
    unsafe {
        let mut partial = device.alloc::<T>(2 * planes * chunks)?;
        launch!(
            device,
            MODULE,
            "norm_sums",
            T,
            blocks(planes * chunks)?,
            [x, grad, &moments, weight, bias, &mut partial, sets, pixels, chunks, is_relu]
        );
        let mut sums = device.alloc::<T>(2 * planes)?;
        launch!(device, MODULE, "plane_sums", T, blocks(*planes)?, [&partial, &moments, &mut sums, sets, chunks]);
        let mut of_sets = device.alloc::<T>(2 * count)?;
        launch!(device, MODULE, "set_sums", T, blocks(*count)?, [&sums, weight, &mut of_sets, sets]);
        let (mut of_weight, mut of_bias) = (device.alloc::<T>(channels)?, device.alloc::<T>(channels)?);
        launch!(device, MODULE, "parameter_sums", T, threads(channels)?, [&sums, &mut of_weight, &mut of_bias, sets]);
        let mut result = device.alloc::<T>(x.len())?;
        launch!(
            device,
            MODULE,
            "norm_backward",
            T,
            blocks(planes * chunks)?,
            [x, grad, &moments, weight, bias, &of_sets, &mut result, sets, pixels, chunks, is_relu]
        );
        Ok([result, of_weight, of_bias])
    }
}
