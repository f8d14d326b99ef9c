//! Uniform numbers drawn on the device.

use candle_core::{CudaDevice, Result, WithDType};
use cudarc::driver::{CudaSlice, DeviceRepr};

use super::Real;
use super::launch::{Module, launch, module, threads};

const MODULE: Module = module!("noise");

/// `Key` of `noise.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Key {
    words: [u32; 8],
    stream: [u32; 2],
}

// SAFETY: the kernel's struct, field by field.
unsafe impl DeviceRepr for Key {}

/// `count` numbers of U(-bound, bound) from ChaCha8 with this key and stream: the same numbers that
/// `mtcool_core::random::uniform` draws.
pub(crate) fn uniform<T: Real>(
    device: &CudaDevice,
    key: [u8; 32],
    stream: u64,
    bound: f64,
    count: usize,
) -> Result<CudaSlice<T>> {
    let word = |at: usize| u32::from_le_bytes([key[4 * at], key[4 * at + 1], key[4 * at + 2], key[4 * at + 3]]);
    let key = Key { words: std::array::from_fn(word), stream: [stream as u32, (stream >> 32) as u32] };
    // The number of different results per `bound`, as many as the type distinguishes: a power of two, so that products
    // with it are exact.
    let steps = if size_of::<T>() == size_of::<f32>() { (1u64 << 23) as f64 } else { (1u64 << 52) as f64 };
    let bound = <T as WithDType>::from_f64(bound);
    let scale = bound / <T as WithDType>::from_f64(steps);
    let blocks = count.div_ceil(64 / size_of::<T>());
    // SAFETY: the kernel's parameters; every number is written.
    unsafe {
        let mut numbers = device.alloc::<T>(count)?;
        launch!(device, MODULE, "uniform", T, threads(blocks)?, [&mut numbers, &key, &scale, &bound, &count]);
        Ok(numbers)
    }
}
