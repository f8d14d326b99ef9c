//! Sums over pixels and samples, in a fixed order.

use std::ops::Range;

use candle_core::{CudaDevice, Result};
use cudarc::driver::{CudaSlice, CudaView};

use super::Real;
use super::launch::{Module, blocks, launch, module};

const MODULE: Module = module!("reduce");

/// Pixels of a plane that one block adds up.
const PIXELS_A_BLOCK: usize = 8192;

/// Number of blocks that share a plane. It depends on the size alone, and so do the bits of the sums.
pub(super) fn chunks(pixels: usize) -> usize {
    pixels.div_ceil(PIXELS_A_BLOCK).max(1)
}

/// `factor` times the sum over batch and parts of `partial` `[batch, sets, parts]`: `[sets]`.
pub(crate) fn fold<T: Real>(
    device: &CudaDevice,
    partial: &CudaView<'_, T>,
    (batch, sets, parts): (usize, usize, usize),
    factor: f64,
) -> Result<CudaSlice<T>> {
    assert_eq!(partial.len(), batch * sets * parts, "fold: sizes");
    let factor = <T as candle_core::WithDType>::from_f64(factor);
    // SAFETY: the arguments are the kernel's parameters; each set is written by one block.
    unsafe {
        let mut sums = device.alloc::<T>(sets)?;
        launch!(device, MODULE, "fold", T, blocks(sets)?, [partial, &mut sums, &batch, &sets, &parts, &factor]);
        Ok(sums)
    }
}

/// `values` at `rows`, elsewhere 0.
pub(crate) fn only<T: Real>(device: &CudaDevice, values: CudaSlice<T>, rows: Range<usize>) -> Result<CudaSlice<T>> {
    if rows.len() == values.len() {
        return Ok(values);
    }
    let mut result = device.alloc_zeros::<T>(values.len())?;
    if !rows.is_empty() {
        device.memcpy_dtod(&values.slice(rows.clone()), &mut result.slice_mut(rows))?;
    }
    Ok(result)
}

/// `factor` times the sum over samples and pixels of `x` `[batch, channels, pixels]`: `[channels]`.
pub(crate) fn channel_sums<T: Real>(
    device: &CudaDevice,
    x: &CudaView<'_, T>,
    (batch, channels, pixels): (usize, usize, usize),
    factor: f64,
) -> Result<CudaSlice<T>> {
    assert_eq!(x.len(), batch * channels * pixels, "channel sums: sizes");
    let (planes, chunks) = (batch * channels, chunks(pixels));
    // SAFETY: the arguments are the kernel's parameters; the sum of each chunk is written by one block.
    let partial = unsafe {
        let mut partial = device.alloc::<T>(planes * chunks)?;
        launch!(device, MODULE, "chunk_sums", T, blocks(planes * chunks)?, [x, &mut partial, &pixels, &chunks]);
        partial
    };
    fold(device, &partial.slice(..), (batch, channels, chunks), factor)
}
