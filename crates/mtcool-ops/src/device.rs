//! Devices by name: `cpu`, or `cuda:N` for an NVIDIA card.

use candle_core::{Device, Result, bail};
#[cfg(feature = "cuda")]
use cudarc::driver::sys::CUmemPool_attribute;

#[cfg(feature = "cuda")]
use crate::cuda;

/// The device called `name`: `cpu` or `cuda:N`, N being the number that the driver gives a card.
///
/// All tensors of a card use one stream, whatever thread creates them. Call this once per card: two calls give different devices, whose
/// tensors cannot be operands of one operation.
///
/// # Errors
/// If the name is another, this build has no CUDA, or there is no driver, card or memory; the message says which.
pub fn open_device(name: &str) -> Result<Device> {
    if name == "cpu" {
        return Ok(Device::Cpu);
    }
    match name.strip_prefix("cuda:").and_then(|number| number.parse().ok()) {
        Some(number) => open_card(name, number),
        None => bail!("device `{name}`: expected `cpu`, or `cuda:0` and the like for an NVIDIA card"),
    }
}

/// Whether a name is one that [`open_device`] may know, in some build on some machine.
pub fn is_device_name(name: &str) -> bool {
    name == "cpu" || name.strip_prefix("cuda:").is_some_and(|number| number.parse::<usize>().is_ok())
}

#[cfg(not(feature = "cuda"))]
fn open_card(name: &str, _number: usize) -> Result<Device> {
    bail!(
        "device `{name}`: this program was built without CUDA: build it with the feature `cudnn` (or `cuda`, without cuDNN), as docs/cuda.md says"
    )
}

#[cfg(feature = "cuda")]
fn open_card(name: &str, number: usize) -> Result<Device> {
    use cudarc::driver::CudaContext;

    let count = match CudaContext::device_count() {
        Ok(count) => count,
        Err(error) => bail!(
            "device `{name}`: the NVIDIA driver reports an error: {error:?}. `nvidia-smi` tells whether there is a card and a driver; CUDA 13 needs version 580 or later"
        ),
    };
    if number >= usize::try_from(count).unwrap_or(0) {
        bail!("device `{name}`: there are {count} cards, numbered from 0, as `nvidia-smi -L` lists them");
    }
    let device = match Device::new_cuda_with_stream(number) {
        Ok(device) => device,
        Err(error) => bail!(
            "device `{name}`: {error}. Another program may have all of its memory, or the driver is older than CUDA 13 (version 580)"
        ),
    };
    if let Device::Cuda(card) = &device {
        // SAFETY: tensors of this device are made and used on its one stream, so no other has to wait for them.
        unsafe { card.disable_event_tracking() };
        // Each step ends with reading the losses; without this setting, freed memory would be returned to the driver then.
        let forever = u64::MAX;
        cuda::set_pool(card, CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, forever)?;
    }
    Ok(device)
}

/// Free memory of `device`, an NVIDIA card, in bytes; `None` for other devices.
///
/// # Errors
/// If the driver cannot tell.
pub fn free_device_memory(device: &Device) -> Result<Option<u64>> {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(card) = device {
        return cuda::free_memory(card).map(Some);
    }
    let _ = device;
    Ok(None)
}

/// The largest amount of memory that tensors on `device`, an NVIDIA card, have used at one time in this process, in
/// bytes; `None` for other devices.
///
/// # Errors
/// If the driver cannot tell.
pub fn peak_device_memory(device: &Device) -> Result<Option<u64>> {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(card) = device {
        return cuda::pool(card, CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH).map(Some);
    }
    let _ = device;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_device_is_said() {
        assert!(open_device("cpu").unwrap().is_cpu());
        for (name, part) in [("gpu", "expected `cpu`"), ("cuda", "expected `cpu`"), ("cuda:x", "expected `cpu`")] {
            assert!(!is_device_name(name));
            let message = open_device(name).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        let message = open_device("cuda:4711").unwrap_err().to_string();
        assert!(message.starts_with("device `cuda:4711`: "), "{message}");
        #[cfg(not(feature = "cuda"))]
        assert!(message.contains("feature `cudnn`"), "{message}");
    }
}
