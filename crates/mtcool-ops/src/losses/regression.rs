//! Losses on numbers: L1, L2 and Huber, in one operation.

use std::sync::OnceLock;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, DType, Error, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::{Element, on_elements};
use crate::loss_settings::{RegressionLoss, RegressionWeights};
use crate::memory::written;
use crate::recording::apply2;

/// The sum of losses that `settings` describe, a scalar: `predictions` and `targets` `[B, D]`, or any other shape that both have.
/// Targets that are NaN are missing: they and their predictions count for nothing. Only predictions get a gradient.
///
/// # Errors
/// If the shapes differ or are empty, or a setting is out of its range ([`RegressionLoss::check`]).
pub fn regression_loss(predictions: &Tensor, targets: &Tensor, settings: &RegressionLoss) -> Result<Tensor> {
    if predictions.dims() != targets.dims() || predictions.elem_count() == 0 {
        bail!(
            "regression_loss: expected predictions and targets of one shape, not empty, got {:?} and {:?}",
            predictions.dims(),
            targets.dims()
        );
    }
    settings.check().map_err(Error::wrap)?;
    let targets = targets.to_dtype(predictions.dtype())?.contiguous()?;
    apply2(predictions, &targets, Forward { loss: RegressionWeights::new(settings), kept: OnceLock::new() })
}

/// One evaluation: made for each call, so that the backward pass finds the count of its own forward pass.
struct Forward {
    loss: RegressionWeights,
    kept: OnceLock<Kept>,
}

/// The number of targets that are not missing.
enum Kept {
    OnCpu(usize),
    #[cfg(feature = "cuda")]
    OnCard(cudarc::driver::CudaSlice<f64>),
}

/// Elements that a thread does at a time; a constant, so that sums do not depend on the threads.
const ELEMENTS_A_PART: usize = 16 * 1024;

impl CustomOp2 for Forward {
    fn name(&self) -> &'static str {
        "regression-loss"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, targets: &CpuStorage, tl: &Layout) -> Result<(CpuStorage, Shape)> {
        let loss = on_elements!(self.name(), T, x: xl, targets: tl => {
            let parts = x.par_chunks(ELEMENTS_A_PART).zip(targets.par_chunks(ELEMENTS_A_PART));
            let sums = parts.map(|(x, targets)| {
                errors(x, targets).flatten().fold((0.0, 0), |(sum, count), error| (sum + self.loss.loss(error), count + 1))
            });
            let sums = sums.collect::<Vec<(f64, usize)>>();
            let (sum, count) = sums.into_iter().fold((0.0, 0), |all, part| (all.0 + part.0, all.1 + part.1));
            self.kept.get_or_init(|| Kept::OnCpu(count));
            vec![T::from_f64(if count > 0 { sum / count as f64 } else { 0.0 })]
        });
        Ok((loss, Shape::from(())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        targets: &CudaStorage,
        tl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (name, device) = (self.name(), &x.device);
        cuda::dispatch!(name, x, T => {
            let maps = (&cuda::view::<T>(name, x, xl)?, &cuda::view(name, targets, tl)?);
            let (loss, count) = cuda::regression_loss(device, maps, self.loss)?;
            self.kept.get_or_init(|| Kept::OnCard(count));
            Ok(cuda::result(loss, device, ()))
        })
    }

    fn bwd(&self, x: &Tensor, targets: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = match self.kept.get() {
            Some(&Kept::OnCpu(count)) => {
                let factor = grad.to_dtype(DType::F64)?.to_scalar::<f64>()? / count.max(1) as f64;
                x.apply_op2_no_bwd(targets, &Backward { loss: self.loss, factor })?
            }
            #[cfg(feature = "cuda")]
            Some(Kept::OnCard(count)) => {
                x.apply_op3_no_bwd(targets, &grad.contiguous()?, &DeviceBackward { loss: self.loss, count })?
            }
            None => bail!("{}: a backward pass without a forward pass", self.name()),
        };
        Ok((Some(gradient), None))
    }
}

/// `prediction - target` of each pair, nothing where the target is missing.
fn errors<T: Element>(x: &[T], targets: &[T]) -> impl Iterator<Item = Option<f64>> {
    x.iter().zip(targets).map(|(&x, &target)| (!target.is_nan()).then(|| x.to_f64() - target.to_f64()))
}

/// The gradient of the predictions.
struct Backward {
    loss: RegressionWeights,
    /// The gradient of the loss, divided by the number of targets.
    factor: f64,
}

impl CustomOp2 for Backward {
    fn name(&self) -> &'static str {
        "regression-loss-backward"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, targets: &CpuStorage, tl: &Layout) -> Result<(CpuStorage, Shape)> {
        let result = on_elements!(self.name(), T, x: xl, targets: tl => {
            let write = |result: &mut [T]| {
                let inputs = x.par_chunks(ELEMENTS_A_PART).zip(targets.par_chunks(ELEMENTS_A_PART));
                result.par_chunks_mut(ELEMENTS_A_PART).zip(inputs).for_each(|(result, (x, targets))| {
                    for (result, error) in result.iter_mut().zip(errors(x, targets)) {
                        *result = T::from_f64(error.map_or(0.0, |error| self.factor * self.loss.slope(error)));
                    }
                });
            };
            written(x.len(), write)
        });
        Ok((result, xl.shape().clone()))
    }
}

/// [`Backward`] of predictions, targets and the gradient of the loss, on a GPU.
#[cfg(feature = "cuda")]
struct DeviceBackward<'a> {
    loss: RegressionWeights,
    count: &'a cudarc::driver::CudaSlice<f64>,
}

#[cfg(feature = "cuda")]
impl candle_core::CustomOp3 for DeviceBackward<'_> {
    fn name(&self) -> &'static str {
        "regression-loss-backward"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("{}: operands on different devices", self.name())
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        targets: &CudaStorage,
        tl: &Layout,
        grad: &CudaStorage,
        gl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (name, device) = (self.name(), &x.device);
        cuda::dispatch!(name, x, T => {
            let maps = (&cuda::view::<T>(name, x, xl)?, &cuda::view(name, targets, tl)?);
            let grad = cuda::view(name, grad, gl)?;
            let result = cuda::regression_loss_backward(device, maps, self.loss, (self.count, &grad))?;
            Ok(cuda::result(result, device, xl.shape()))
        })
    }
}
