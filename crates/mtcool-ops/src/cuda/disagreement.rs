//! The mean divergence of the predictions of several draws from their mean.

use candle_core::{CudaDevice, Result};
use cudarc::driver::{CudaSlice, CudaView, DeviceRepr};

use super::Real;
use super::launch::{Module, blocks, launch, module, threads};

const MODULE: Module = module!("softmax");

/// Positions that one block adds up.
const POSITIONS_A_BLOCK: usize = 2048;

/// `Draws` of `softmax.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Draws {
    draws: u64,
    batch: u64,
    classes: u64,
    positions: u64,
}

// SAFETY: the kernels' struct, field by field.
unsafe impl DeviceRepr for Draws {}

/// The sizes of logits `[M, B, K, ...]`, the number of their positions, and the factor that turns a sum over positions
/// and draws into a mean.
fn sizes(dims: &[usize]) -> (Draws, usize, f64) {
    let (draws, batch, classes, positions) = (dims[0], dims[1], dims[2], dims[3..].iter().product::<usize>());
    let wide = |size: usize| size as u64;
    let sizes = Draws { draws: wide(draws), batch: wide(batch), classes: wide(classes), positions: wide(positions) };
    (sizes, batch * positions, 1.0 / (draws * batch * positions) as f64)
}

/// The mean divergence from the mean prediction, `[1]`, of logits of shape `dims`.
pub(crate) fn disagreement<T: Real>(
    device: &CudaDevice,
    logits: &CudaView<'_, T>,
    dims: &[usize],
) -> Result<CudaSlice<T>> {
    let (sizes, count, factor) = sizes(dims);
    let (a_block, groups) = (POSITIONS_A_BLOCK, count.div_ceil(POSITIONS_A_BLOCK));
    // SAFETY: the kernels' parameters; each part is written by one block, and the mean by one block.
    unsafe {
        let mut partial = device.alloc::<f64>(groups)?;
        launch!(device, MODULE, "disagreement", T, blocks(groups)?, [logits, &mut partial, &sizes, &a_block]);
        let mut mean = device.alloc::<T>(1)?;
        launch!(device, MODULE, "scaled_sum", T, blocks(1)?, [&partial, &mut mean, &factor, &groups]);
        Ok(mean)
    }
}

/// The gradient of the logits from `grad` `[1]`, that of the mean.
pub(crate) fn disagreement_backward<T: Real>(
    device: &CudaDevice,
    (logits, grad): (&CudaView<'_, T>, &CudaView<'_, T>),
    dims: &[usize],
) -> Result<CudaSlice<T>> {
    let (sizes, count, factor) = sizes(dims);
    // SAFETY: the kernel's parameters; every class of every position of every draw is written.
    unsafe {
        let mut result = device.alloc::<T>(logits.len())?;
        launch!(
            device,
            MODULE,
            "disagreement_backward",
            T,
            threads(count)?,
            [logits, grad, &mut result, &sizes, &factor, &count]
        );
        Ok(result)
    }
}
