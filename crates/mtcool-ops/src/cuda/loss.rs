//! The losses on a card, over classes and on numbers.

use candle_core::{CudaDevice, Result};
use cudarc::driver::{CudaSlice, CudaView, DeviceRepr};

use super::Real;
use super::launch::{Module, blocks, launch, module, threads};
use crate::loss_settings::{DiceSums, Normalization, RegressionWeights, Terms};

const CLASSES: Module = module!("losses");
const REGRESSION: Module = module!("regression");

/// Positions or numbers that a block adds up.
const ELEMENTS_A_BLOCK: usize = 8192;

/// `LossSettings` of `losses.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct LossSettings {
    ignored: i64,
    cross_entropy: f64,
    focal: f64,
    dice: f64,
    gamma: f64,
    smooth: f64,
    has_weights: i32,
    has_cross_entropy: i32,
    has_focal: i32,
    has_dice: i32,
    cross_entropy_by_weights: i32,
    focal_by_weights: i32,
}

// SAFETY: the kernels' struct, field by field.
unsafe impl DeviceRepr for LossSettings {}

/// `LossSizes` of `losses.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct LossSizes {
    classes: u64,
    positions: u64,
    count: u64,
    groups: u64,
    blocks: u64,
}

// SAFETY: the kernels' struct, field by field.
unsafe impl DeviceRepr for LossSizes {}

// SAFETY: `RegressionWeights` of `regression.cu`, field by field.
unsafe impl DeviceRepr for RegressionWeights {}

/// Logits `[B, K, P]` and targets `[B, P]`.
pub(crate) struct Classes<'a, T> {
    logits: &'a CudaView<'a, T>,
    targets: &'a CudaView<'a, i64>,
    batch: usize,
    classes: usize,
    positions: usize,
}

impl<'a, T: Real> Classes<'a, T> {
    /// Of logits of shape `dims`.
    pub(crate) fn new((logits, dims): (&'a CudaView<'a, T>, &[usize]), targets: &'a CudaView<'a, i64>) -> Self {
        assert_eq!(logits.len(), targets.len() * dims[1], "class loss: one target per position");
        Self { logits, targets, batch: dims[0], classes: dims[1], positions: dims[2..].iter().product() }
    }
}

/// What the forward pass leaves for the backward pass.
pub(crate) struct ClassLossSums {
    settings: LossSettings,
    sizes: LossSizes,
    weights: CudaSlice<f64>,
    totals: CudaSlice<f64>,
    slopes: CudaSlice<f64>,
}

impl LossSettings {
    /// With the array `[5, K]` of the classes' numbers; empty if all are those of a plain loss.
    fn new(terms: &Terms) -> (Self, Vec<f64>) {
        let (cross_entropy, focal, dice) = (&terms.cross_entropy, &terms.focal, &terms.dice);
        let by_weights = |normalization| i32::from(normalization == Normalization::Weights);
        let ones = || vec![1.0; terms.classes];
        let (zeros, mut rows) = (vec![0.0; terms.classes], Vec::new());
        rows.extend(cross_entropy.as_ref().map_or_else(ones, |term| term.class_weights.clone()));
        rows.extend(cross_entropy.as_ref().map_or_else(ones, |term| term.one_hot.clone()));
        rows.extend(cross_entropy.as_ref().filter(|term| !term.spread.is_empty()).map_or(&zeros, |term| &term.spread));
        rows.extend(focal.as_ref().map_or_else(ones, |term| term.class_weights.clone()));
        rows.extend(dice.as_ref().map_or(&zeros, |term| &term.shares));
        let (of_weights, of_zeros) = rows.split_at(2 * terms.classes);
        let (spread, of_others) = of_zeros.split_at(terms.classes);
        let (of_focal, shares) = of_others.split_at(terms.classes);
        let is_plain = of_weights.iter().chain(of_focal).all(|&weight| weight == 1.0)
            && spread.iter().chain(shares).all(|&weight| weight == 0.0);
        let settings = Self {
            ignored: terms.ignored.unwrap_or(-1),
            cross_entropy: cross_entropy.as_ref().map_or(0.0, |term| term.weight),
            focal: focal.as_ref().map_or(0.0, |term| term.weight),
            dice: dice.as_ref().map_or(0.0, |term| term.weight),
            gamma: focal.as_ref().map_or(0.0, |term| term.gamma),
            smooth: dice.as_ref().map_or(0.0, |term| term.smooth),
            has_weights: i32::from(!is_plain),
            has_cross_entropy: i32::from(cross_entropy.is_some()),
            has_focal: i32::from(focal.is_some()),
            has_dice: i32::from(dice.is_some()),
            cross_entropy_by_weights: cross_entropy.as_ref().map_or(0, |term| by_weights(term.normalization)),
            focal_by_weights: focal.as_ref().map_or(0, |term| by_weights(term.normalization)),
        };
        (settings, if is_plain { Vec::new() } else { rows })
    }
}

/// The loss `[1]`, and what its gradient needs; NaN if a target is no class.
pub(crate) fn class_loss<T: Real>(
    device: &CudaDevice,
    maps: &Classes<'_, T>,
    terms: &Terms,
) -> Result<(CudaSlice<T>, ClassLossSums)> {
    let (settings, weights) = LossSettings::new(terms);
    let is_by_image = terms.dice.as_ref().is_some_and(|term| term.sums == DiceSums::Image);
    let (count, groups) = (maps.targets.len(), if is_by_image { maps.batch } else { 1 });
    let a_group = (count / groups).div_ceil(ELEMENTS_A_BLOCK);
    let sizes = LossSizes {
        classes: maps.classes as u64,
        positions: maps.positions as u64,
        count: count as u64,
        groups: groups as u64,
        blocks: a_group as u64,
    };
    let slots = 5 + if terms.dice.is_some() { 3 * maps.classes } else { 0 };
    // SAFETY: the kernels' parameters; each block writes all its slots, one block each sum, and one block loss, totals and slopes.
    // Weights and slopes that are left unwritten are not read.
    unsafe {
        let weights = if weights.is_empty() { device.alloc::<f64>(1)? } else { device.clone_htod(&weights[..])? };
        let (mut partial, a_block) = (device.alloc::<f64>(groups * a_group * slots)?, ELEMENTS_A_BLOCK);
        let arguments = (maps.logits, maps.targets);
        launch!(
            device,
            CLASSES,
            "class_loss_parts",
            T,
            blocks(groups * a_group)?,
            [arguments.0, arguments.1, &weights, &mut partial, &settings, &sizes, &a_block]
        );
        let mut sums = device.alloc::<f64>(groups * slots)?;
        launch!(
            device,
            CLASSES,
            "class_loss_sums",
            T,
            blocks(groups * slots)?,
            [&partial, &mut sums, &a_group, &slots]
        );
        let (mut loss, mut totals) = (device.alloc::<T>(1)?, device.alloc::<f64>(2)?);
        let mut slopes = device.alloc::<f64>(2 * groups * maps.classes)?;
        launch!(
            device,
            CLASSES,
            "class_loss_value",
            T,
            blocks(1)?,
            [&sums, &weights, &mut loss, &mut totals, &mut slopes, &settings, &sizes]
        );
        Ok((loss, ClassLossSums { settings, sizes, weights, totals, slopes }))
    }
}

/// The gradient of the logits from `grad` `[1]`, that of the loss.
pub(crate) fn class_loss_backward<T: Real>(
    device: &CudaDevice,
    maps: &Classes<'_, T>,
    sums: &ClassLossSums,
    grad: &CudaView<'_, T>,
) -> Result<CudaSlice<T>> {
    let ClassLossSums { settings, sizes, weights, totals, slopes } = sums;
    let (logits, targets) = (maps.logits, maps.targets);
    // SAFETY: the kernel's parameters; every class of every position is written.
    unsafe {
        let mut result = device.alloc::<T>(logits.len())?;
        launch!(
            device,
            CLASSES,
            "class_loss_backward",
            T,
            threads(targets.len())?,
            [logits, targets, weights, totals, slopes, grad, &mut result, settings, sizes]
        );
        Ok(result)
    }
}

/// The mean loss `[1]` of predictions and targets, and the number of targets that are not missing, `[1]`.
pub(crate) fn regression_loss<T: Real>(
    device: &CudaDevice,
    (predictions, targets): (&CudaView<'_, T>, &CudaView<'_, T>),
    weights: RegressionWeights,
) -> Result<(CudaSlice<T>, CudaSlice<f64>)> {
    assert_eq!(predictions.len(), targets.len(), "regression loss: one target per prediction");
    let (count, a_block) = (targets.len(), ELEMENTS_A_BLOCK);
    let parts = count.div_ceil(a_block);
    // SAFETY: the kernels' parameters; a block writes each part, and one the sums.
    unsafe {
        let mut partial = device.alloc::<f64>(2 * parts)?;
        launch!(
            device,
            REGRESSION,
            "regression_parts",
            T,
            blocks(parts)?,
            [predictions, targets, &mut partial, &weights, &count, &a_block]
        );
        let (mut loss, mut total) = (device.alloc::<T>(1)?, device.alloc::<f64>(1)?);
        launch!(device, REGRESSION, "regression_mean", T, blocks(1)?, [&partial, &mut loss, &mut total, &parts]);
        Ok((loss, total))
    }
}

/// The gradient of the predictions from the number of targets and `grad` `[1]`, that of the loss.
pub(crate) fn regression_loss_backward<T: Real>(
    device: &CudaDevice,
    (predictions, targets): (&CudaView<'_, T>, &CudaView<'_, T>),
    weights: RegressionWeights,
    (total, grad): (&CudaSlice<f64>, &CudaView<'_, T>),
) -> Result<CudaSlice<T>> {
    let count = targets.len();
    // SAFETY: the kernel's parameters; every element is written.
    unsafe {
        let mut result = device.alloc::<T>(count)?;
        launch!(
            device,
            REGRESSION,
            "regression_backward",
            T,
            threads(count)?,
            [predictions, targets, total, grad, &mut result, &weights, &count]
        );
        Ok(result)
    }
}
