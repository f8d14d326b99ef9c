//! Crops of pictures that are stored on the card.

use candle_core::{CudaDevice, Result};
use cudarc::driver::{CudaSlice, CudaView, DeviceRepr};

use super::launch::{Module, launch_named, module, threads};
use crate::settings::Cut;

const MODULE: Module = module!("cut");

/// `Cut` of `cut.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Place {
    center: [f64; 2],
    to_source: [[f64; 2]; 2],
    size: [u64; 2],
    source: [u64; 2],
}

// SAFETY: the kernels' struct, field by field.
unsafe impl DeviceRepr for Place {}

impl Place {
    fn new(cut: &Cut, source: [usize; 2]) -> Self {
        let wide = |sides: [usize; 2]| sides.map(|side| side as u64);
        Self { center: cut.center, to_source: cut.to_source, size: wide(cut.size), source: wide(source) }
    }
}

/// The crop `[3, H, W]` of `pixels`, whose height and width are `source`, `[H', W', 3]`.
pub(crate) fn cut_picture(
    device: &CudaDevice,
    (pixels, source): (&CudaView<'_, u8>, [usize; 2]),
    levels: &[[f32; 3]; 256],
    cut: &Cut,
) -> Result<CudaSlice<f32>> {
    assert_eq!(pixels.len(), 3 * source[0] * source[1], "cut: three channels");
    let (place, count) = (Place::new(cut, source), 3 * cut.size[0] * cut.size[1]);
    let levels = device.clone_htod(levels.as_flattened())?;
    // SAFETY: the kernel's parameters; every pixel of the crop is written.
    unsafe {
        let mut crop = device.alloc::<f32>(count)?;
        launch_named!(device, MODULE, "cut_picture", threads(count)?, [pixels, &levels, &mut crop, &place, &count]);
        Ok(crop)
    }
}

/// The crop `[planes, H, W]` of `labels`, whose height and width are `source`, through `tables` `[planes, 256]`.
pub(crate) fn cut_labels(
    device: &CudaDevice,
    (labels, source): (&CudaView<'_, u8>, [usize; 2]),
    tables: &CudaView<'_, u8>,
    outside: u8,
    cut: &Cut,
) -> Result<CudaSlice<u8>> {
    assert_eq!(labels.len(), source[0] * source[1], "cut: one channel");
    let (place, outside) = (Place::new(cut, source), i32::from(outside));
    let count = tables.len() / 256 * cut.size[0] * cut.size[1];
    // SAFETY: the kernel's parameters; every pixel of each plane is written.
    unsafe {
        let mut crop = device.alloc::<u8>(count)?;
        launch_named!(
            device,
            MODULE,
            "cut_labels",
            threads(count)?,
            [labels, tables, &mut crop, &place, &outside, &count]
        );
        Ok(crop)
    }
}
