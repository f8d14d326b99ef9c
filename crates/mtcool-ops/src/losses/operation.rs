//! A loss over classes as one operation of the graph.

use std::sync::OnceLock;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, DType, Error, Layout, Result, Shape, Tensor, WithDType, bail};

use super::gradients;
use super::maps::Maps;
use super::sums::evaluate;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::{dispatch, elements};
use crate::loss_settings::{ClassLoss, NoClass, Sums, Terms};
use crate::memory::written;
use crate::recording::apply2;

/// The sum of losses that `settings` describe, a scalar: `logits` `[B, K]` or `[B, K, H, W]` (any trailing shape), `targets` `[B]` or
/// `[B, H, W]` of an integer type with values in `0..K` or the ignored one. If every target is ignored, loss and gradient are 0.
///
/// # Errors
/// If the shapes do not fit each other, a setting is out of its range ([`ClassLoss::check`]), or a target is not in `0..K`. On a
/// GPU a target that is no class makes the loss NaN instead: to look for one would stop every step.
pub fn class_loss(logits: &Tensor, targets: &Tensor, settings: &ClassLoss) -> Result<Tensor> {
    let dims = logits.dims();
    let fits = dims.len() >= 2
        && targets.rank() + 1 == dims.len()
        && targets.dims()[0] == dims[0]
        && targets.dims()[1..] == dims[2..];
    if !fits || logits.elem_count() == 0 {
        bail!(
            "class_loss: expected logits [B, K, ...] and targets [B, ...], none empty, got {dims:?} and {:?}",
            targets.dims()
        );
    }
    settings.check(dims[1]).map_err(Error::wrap)?;
    let targets = targets.to_dtype(DType::I64)?.contiguous()?;
    apply2(logits, &targets, Forward { terms: Terms::new(settings, dims[1]), sums: OnceLock::new() })
}

/// Mean over all positions of `-log softmax(logits)[target]`: [`class_loss`] with [`ClassLoss::cross_entropy`].
///
/// # Errors
/// As [`class_loss`].
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    class_loss(logits, targets, &ClassLoss::cross_entropy())
}

/// One evaluation: made for each call, so that the backward pass finds the sums of its own forward pass.
struct Forward {
    terms: Terms,
    sums: OnceLock<Kept>,
}

/// What the forward pass keeps for the backward pass.
enum Kept {
    OnCpu(Sums),
    #[cfg(feature = "cuda")]
    OnCard(Box<cuda::ClassLossSums>),
}

impl Forward {
    fn keep(&self, sums: Kept) {
        self.sums.get_or_init(|| sums);
    }
}

impl CustomOp2 for Forward {
    fn name(&self) -> &'static str {
        "class-loss"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        ll: &Layout,
        targets: &CpuStorage,
        tl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let targets = elements::<i64>(self.name(), targets, tl)?;
        let loss = dispatch!(self.name(), logits, T => {
            let maps = Maps::new(elements::<T>(self.name(), logits, ll)?, targets, ll.dims());
            match evaluate(maps, &self.terms) {
                Ok((loss, sums)) => {
                    self.keep(Kept::OnCpu(sums));
                    T::to_cpu_storage_owned(vec![loss])
                }
                Err(NoClass(target)) => {
                    bail!("{}: target {target} is not a class in 0..{}", self.name(), self.terms.classes)
                }
            }
        });
        Ok((loss, Shape::from(())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        logits: &CudaStorage,
        ll: &Layout,
        targets: &CudaStorage,
        tl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (name, device) = (self.name(), &logits.device);
        cuda::dispatch!(name, logits, T => {
            let (logits, targets) = (cuda::view::<T>(name, logits, ll)?, cuda::view(name, targets, tl)?);
            let maps = cuda::Classes::new((&logits, ll.dims()), &targets);
            let (loss, sums) = cuda::class_loss(device, &maps, &self.terms)?;
            self.keep(Kept::OnCard(Box::new(sums)));
            Ok(cuda::result(loss, device, ()))
        })
    }

    fn bwd(
        &self,
        logits: &Tensor,
        targets: &Tensor,
        _loss: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = match self.sums.get() {
            Some(Kept::OnCpu(sums)) => {
                let factor = grad.to_dtype(DType::F64)?.to_scalar()?;
                logits.apply_op2_no_bwd(targets, &Backward { terms: &self.terms, sums, factor })?
            }
            #[cfg(feature = "cuda")]
            Some(Kept::OnCard(sums)) => {
                // The loss's gradient stays where it is: to read it would stop the step.
                let backward = DeviceBackward { sums };
                logits.apply_op3_no_bwd(targets, &grad.contiguous()?, &backward)?
            }
            None => bail!("{}: a backward pass without a forward pass", self.name()),
        };
        Ok((Some(gradient), None))
    }
}

/// The gradient of the logits.
struct Backward<'a> {
    terms: &'a Terms,
    sums: &'a Sums,
    /// The gradient of the loss.
    factor: f64,
}

impl CustomOp2 for Backward<'_> {
    fn name(&self) -> &'static str {
        "class-loss-backward"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        ll: &Layout,
        targets: &CpuStorage,
        tl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let targets = elements::<i64>(self.name(), targets, tl)?;
        let result = dispatch!(self.name(), logits, T => {
            let maps = Maps::new(elements::<T>(self.name(), logits, ll)?, targets, ll.dims());
            let write = |result: &mut [T]| gradients::write(maps, self.terms, self.sums, self.factor, result);
            T::to_cpu_storage_owned(written(maps.logits.len(), write))
        });
        Ok((result, ll.shape().clone()))
    }
}

/// [`Backward`] of logits, targets and the gradient of the loss, on a GPU.
#[cfg(feature = "cuda")]
struct DeviceBackward<'a> {
    sums: &'a cuda::ClassLossSums,
}

#[cfg(feature = "cuda")]
impl candle_core::CustomOp3 for DeviceBackward<'_> {
    fn name(&self) -> &'static str {
        "class-loss-backward"
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
        logits: &CudaStorage,
        ll: &Layout,
        targets: &CudaStorage,
        tl: &Layout,
        grad: &CudaStorage,
        gl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (name, device) = (self.name(), &logits.device);
        cuda::dispatch!(name, logits, T => {
            let (logits, targets) = (cuda::view::<T>(name, logits, ll)?, cuda::view(name, targets, tl)?);
            let maps = cuda::Classes::new((&logits, ll.dims()), &targets);
            let result = cuda::class_loss_backward(device, &maps, self.sums, &cuda::view(name, grad, gl)?)?;
            Ok(cuda::result(result, device, ll.shape()))
        })
    }
}
