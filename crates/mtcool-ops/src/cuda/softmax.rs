//! The pooled softmax on a card.

use candle_core::{CudaDevice, Result};
use cudarc::driver::{CudaSlice, CudaView, DeviceRepr};

use super::Real;
use super::launch::{Module, blocks, launch, module, threads};

const MODULE: Module = module!("softmax");

/// The struct `Blocks` of `softmax.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Blocks {
    classes: u64,
    height: u64,
    width: u64,
    side: u64,
}

// SAFETY: the kernels' struct, field by field.
unsafe impl DeviceRepr for Blocks {}

impl Blocks {
    fn new((_, classes, height, width): (usize, usize, usize, usize), side: usize) -> Self {
        Self { classes: classes as u64, height: height as u64, width: width as u64, side: side as u64 }
    }
}

/// Softmax of logits of shape `dims`, averaged over squares of side `side`.
pub(crate) fn pooled_softmax<T: Real>(
    device: &CudaDevice,
    logits: &CudaView<'_, T>,
    dims: (usize, usize, usize, usize),
    side: usize,
) -> Result<CudaSlice<T>> {
    let sizes = Blocks::new(dims, side);
    let squares = dims.0 * (dims.2 / side) * (dims.3 / side);
    // SAFETY: the kernel's parameters; a block writes each square's means.
    unsafe {
        let mut means = device.alloc::<T>(squares * dims.1)?;
        launch!(device, MODULE, "pooled_softmax", T, blocks(squares)?, [logits, &mut means, &sizes]);
        Ok(means)
    }
}

/// The gradient of the logits from that of the means.
pub(crate) fn pooled_softmax_backward<T: Real>(
    device: &CudaDevice,
    (logits, grad): (&CudaView<'_, T>, &CudaView<'_, T>),
    dims: (usize, usize, usize, usize),
    side: usize,
) -> Result<CudaSlice<T>> {
    let (sizes, count) = (Blocks::new(dims, side), dims.0 * dims.2 * dims.3);
    // SAFETY: the kernel's parameters; every class of every pixel is written.
    unsafe {
        let mut result = device.alloc::<T>(logits.len())?;
        launch!(
            device,
            MODULE,
            "pooled_softmax_backward",
            T,
            threads(count)?,
            [logits, grad, &mut result, &sizes, &count]
        );
        Ok(result)
    }
}
