//! Softmax cross-entropy and the pooled softmax.

use candle_core::{CudaDevice, Result};
use cudarc::driver::{CudaSlice, CudaView, DeviceRepr};

use super::Real;
use super::launch::{Module, blocks, launch, module, threads};
use crate::cross_entropy::CrossEntropy;

const MODULE: Module = module!("softmax");

/// Positions that a block adds up.
const POSITIONS_A_BLOCK: usize = 8192;

/// `Targets` of `softmax.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Targets {
    ignored: i64,
    has_weights: i32,
}

// SAFETY: the kernels' struct, field by field.
unsafe impl DeviceRepr for Targets {}

/// Logits `[B, classes, positions]` and a target a position.
pub(crate) struct Classes<'a, T> {
    logits: &'a CudaView<'a, T>,
    targets: &'a CudaView<'a, i64>,
    weights: CudaSlice<f64>,
    settings: Targets,
    classes: usize,
    positions: usize,
}

impl<'a, T: Real> Classes<'a, T> {
    /// Of logits of shape `dims`.
    pub(crate) fn new(
        device: &CudaDevice,
        (logits, dims): (&'a CudaView<'a, T>, &[usize]),
        targets: &'a CudaView<'a, i64>,
        settings: &CrossEntropy,
    ) -> Result<Self> {
        let weights = match &settings.class_weights {
            Some(weights) => device.clone_htod(&weights[..])?,
            // SAFETY: without weights the kernels read none.
            None => unsafe { device.alloc::<f64>(1)? },
        };
        let has_weights = i32::from(settings.class_weights.is_some());
        let settings = Targets { ignored: settings.ignored.map_or(-1, i64::from), has_weights };
        let (classes, positions) = (dims[1], dims[2..].iter().product());
        assert_eq!(logits.len(), targets.len() * classes, "cross-entropy: a target a position");
        Ok(Self { logits, targets, weights, settings, classes, positions })
    }
}

/// The mean loss `[1]`, and the sum of all weights `[1]`; NaN if a target is no class.
pub(crate) fn cross_entropy<T: Real>(
    device: &CudaDevice,
    maps: &Classes<'_, T>,
) -> Result<(CudaSlice<T>, CudaSlice<f64>)> {
    let Classes { logits, targets, weights, settings, classes, positions } = maps;
    let count = targets.len();
    let groups = count.div_ceil(POSITIONS_A_BLOCK);
    let a_block = POSITIONS_A_BLOCK;
    // SAFETY: the kernels' parameters; a block writes each part, and one the sums.
    unsafe {
        let mut partial = device.alloc::<f64>(2 * groups)?;
        launch!(
            device,
            MODULE,
            "losses",
            T,
            blocks(groups)?,
            [*logits, *targets, weights, &mut partial, settings, classes, positions, &count, &a_block]
        );
        let (mut loss, mut total) = (device.alloc::<T>(1)?, device.alloc::<f64>(1)?);
        launch!(device, MODULE, "mean_loss", T, blocks(1)?, [&partial, &mut loss, &mut total, &groups]);
        Ok((loss, total))
    }
}

/// The gradient of the logits from `grad` `[1]`, that of the loss.
pub(crate) fn cross_entropy_backward<T: Real>(
    device: &CudaDevice,
    maps: &Classes<'_, T>,
    grad: &CudaView<'_, T>,
) -> Result<CudaSlice<T>> {
    let (_, total) = cross_entropy(device, maps)?;
    let Classes { logits, targets, weights, settings, classes, positions } = maps;
    let count = targets.len();
    // SAFETY: the kernel's parameters; every class of every position is written.
    unsafe {
        let mut result = device.alloc::<T>(logits.len())?;
        launch!(
            device,
            MODULE,
            "losses_backward",
            T,
            threads(count)?,
            [*logits, *targets, weights, &total, grad, &mut result, settings, classes, positions, &count]
        );
        Ok(result)
    }
}

/// `Blocks` of `softmax.cu`.
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
