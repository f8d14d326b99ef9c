//! Calls of kernels.

use candle_core::{Result, bail};
use cudarc::driver::LaunchConfig;

/// Threads of a block, the same as `THREADS` in `device.cuh`.
pub(super) const THREADS: u32 = 256;

/// A file of kernels, compiled by `build.rs`.
pub(super) struct Module {
    pub(super) name: &'static str,
    pub(super) ptx: &'static str,
}

macro_rules! module {
    ($file:literal) => {
        $crate::cuda::launch::Module {
            name: concat!("mtcool-ops/", $file),
            ptx: include_str!(concat!(env!("OUT_DIR"), "/", $file, ".ptx")),
        }
    };
}
pub(super) use module;

/// The configuration of a launch with one thread for each of `count` elements.
pub(super) fn threads(count: usize) -> Result<LaunchConfig> {
    blocks(count.div_ceil(THREADS as usize))
}

/// The configuration of a launch with `count` blocks.
pub(super) fn blocks(count: usize) -> Result<LaunchConfig> {
    match u32::try_from(count) {
        Ok(blocks) if blocks < 1 << 31 => {
            Ok(LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 })
        }
        _ => bail!("a kernel of {count} blocks: expected fewer than 2^31; use smaller batches"),
    }
}

/// Calls kernel `$name` of `$module` for element type `$T`; the arguments are references, in the kernel's order. Expands to
/// an unsafe call: the arguments have to match the kernel's parameters.
macro_rules! launch {
    ($device:expr, $module:expr, $name:literal, $T:ty, $config:expr, $arguments:tt) => {{
        let name = format!(concat!($name, "_{}"), <$T as $crate::cuda::Real>::SUFFIX);
        $crate::cuda::launch::launch_named!($device, $module, &name, $config, $arguments)
    }};
}
pub(super) use launch;

/// Calls the kernel named `$name`, without a suffix for the element type.
macro_rules! launch_named {
    ($device:expr, $module:expr, $name:expr, $config:expr, [$($argument:expr),* $(,)?]) => {{
        let config: cudarc::driver::LaunchConfig = $config;
        // CUDA has no empty grids.
        if config.grid_dim.0 > 0 {
            let function = $device.get_or_load_custom_func($name, $module.name, $module.ptx)?;
            let mut call = function.builder();
            $(cudarc::driver::PushKernelArg::arg(&mut call, $argument);)*
            call.launch(config).map_err(candle_core::Error::wrap)?;
        }
    }};
}
pub(super) use launch_named;
