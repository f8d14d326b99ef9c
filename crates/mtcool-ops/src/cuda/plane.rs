//! Max-pooling and bilinear upsampling of planes.

use candle_core::{CudaDevice, Result};
use cudarc::driver::{CudaSlice, CudaView, DeviceRepr};

use super::Real;
use super::launch::{Module, launch, module, threads};
use crate::settings::MaxPool2d;

const MODULE: Module = module!("pool");

/// `Pool` of `pool.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Pool {
    height: u64,
    width: u64,
    out_h: u64,
    out_w: u64,
    kernel: u64,
    stride: u64,
}

// SAFETY: the kernels' struct, field by field.
unsafe impl DeviceRepr for Pool {}

impl Pool {
    fn new(settings: MaxPool2d, height: usize, width: usize) -> Self {
        let side = |side| settings.output_side(side) as u64;
        Self {
            height: height as u64,
            width: width as u64,
            out_h: side(height),
            out_w: side(width),
            kernel: settings.kernel as u64,
            stride: settings.stride as u64,
        }
    }
}

/// Max-pool of `x` `[planes, height, width]`.
pub(crate) fn max_pool<T: Real>(
    device: &CudaDevice,
    settings: MaxPool2d,
    x: &CudaView<'_, T>,
    (planes, height, width): (usize, usize, usize),
) -> Result<CudaSlice<T>> {
    let pool = Pool::new(settings, height, width);
    let count = planes * settings.output_side(height) * settings.output_side(width);
    // SAFETY: the kernel's parameters; every window is written.
    unsafe {
        let mut y = device.alloc::<T>(count)?;
        launch!(device, MODULE, "max_pool", T, threads(count)?, [x, &mut y, &pool, &count]);
        Ok(y)
    }
}

/// Gives each window's gradient to its first maximum.
pub(crate) fn max_pool_backward<T: Real>(
    device: &CudaDevice,
    settings: MaxPool2d,
    (x, grad): (&CudaView<'_, T>, &CudaView<'_, T>),
    (height, width): (usize, usize),
) -> Result<CudaSlice<T>> {
    let (pool, count) = (Pool::new(settings, height, width), x.len());
    // SAFETY: the kernel's parameters; every pixel is written.
    unsafe {
        let mut result = device.alloc::<T>(count)?;
        launch!(device, MODULE, "max_pool_backward", T, threads(count)?, [x, grad, &mut result, &pool, &count]);
        Ok(result)
    }
}

/// `x` enlarged `scale` times in both directions, from planes of `height` x `width`; or the transpose of that linear map.
pub(crate) fn upsample<T: Real>(
    device: &CudaDevice,
    x: &CudaView<'_, T>,
    (planes, height, width): (usize, usize, usize),
    scale: usize,
    is_transposed: bool,
) -> Result<CudaSlice<T>> {
    let count = planes * height * width * if is_transposed { 1 } else { scale * scale };
    let (height, width) = (&height, &width);
    // SAFETY: the kernels' parameters; every pixel of the result is written.
    unsafe {
        let mut y = device.alloc::<T>(count)?;
        if is_transposed {
            launch!(
                device,
                MODULE,
                "upsample_backward",
                T,
                threads(count)?,
                [x, &mut y, height, width, &scale, &count]
            );
        } else {
            launch!(device, MODULE, "upsample", T, threads(count)?, [x, &mut y, height, width, &scale, &count])
        }
        Ok(y)
    }
}
