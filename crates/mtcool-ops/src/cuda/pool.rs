//! The driver's memory pool, from which device memory is allocated.

use candle_core::{CudaDevice, Error, Result};
use cudarc::driver::result::{device::get_default_mem_pool, mem_get_info, mem_pool};
use cudarc::driver::sys::{CUmemPool_attribute, CUmemoryPool};

fn of(device: &CudaDevice) -> Result<CUmemoryPool> {
    let stream = device.cuda_stream();
    stream.context().bind_to_thread().map_err(Error::wrap)?;
    // SAFETY: the device of a live context.
    unsafe { get_default_mem_pool(stream.context().cu_device()) }.map_err(Error::wrap)
}

/// The value of an attribute of the pool that is a number of bytes.
pub(crate) fn pool(device: &CudaDevice, attribute: CUmemPool_attribute) -> Result<u64> {
    let mut value = 0u64;
    // SAFETY: a live pool, and room for the number.
    unsafe { mem_pool::get_attribute(of(device)?, attribute, std::ptr::from_mut(&mut value).cast()) }
        .map_err(Error::wrap)?;
    Ok(value)
}

/// Sets an attribute of the pool that is a number of bytes.
pub(crate) fn set_pool(device: &CudaDevice, attribute: CUmemPool_attribute, mut value: u64) -> Result<()> {
    // SAFETY: a live pool, and a number.
    unsafe { mem_pool::set_attribute(of(device)?, attribute, std::ptr::from_mut(&mut value).cast()) }
        .map_err(Error::wrap)
}

/// Bytes that the driver could still allocate.
pub(crate) fn free_memory(device: &CudaDevice) -> Result<u64> {
    device.cuda_stream().context().bind_to_thread().map_err(Error::wrap)?;
    Ok(mem_get_info().map_err(Error::wrap)?.0 as u64)
}
