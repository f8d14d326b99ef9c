//! Updates of parameters on an NVIDIA card, each by one kernel, where candle's operations would need several.

use candle_core::{Result, Tensor, bail};

use crate::settings::SgdStep;

/// The new value of `parameter` and, with momentum, its velocity, as constants. All tensors have one shape and are on one
/// card.
///
/// # Errors
/// If they differ in shape, dtype or device, or that is no card.
pub fn sgd_on_card(
    step: SgdStep,
    parameter: &Tensor,
    gradient: &Tensor,
    velocity: Option<&Tensor>,
) -> Result<(Tensor, Option<Tensor>)> {
    let fits = |tensor: &Tensor| tensor.dims() == parameter.dims() && tensor.dtype() == parameter.dtype();
    if !fits(gradient) || !velocity.is_none_or(fits) {
        bail!("sgd_on_card: a gradient {:?} or velocity for a parameter {:?}", gradient.shape(), parameter.shape());
    }
    #[cfg(feature = "cuda")]
    if let candle_core::Device::Cuda(card) = parameter.device() {
        use crate::cuda;

        let (parameter, gradient) = (parameter.contiguous()?, gradient.contiguous()?);
        let velocity = velocity.map(Tensor::contiguous).transpose()?;
        let [parameters, gradients] = [&parameter, &gradient].map(|tensor| cuda::guard("sgd", tensor));
        let velocities = velocity.as_ref().map(|velocity| cuda::guard("sgd", velocity));
        let storage = parameters.storage()?;
        return cuda::dispatch!("sgd", storage, T => {
            let velocity = velocities.as_ref().map(|velocity| velocity.view::<T>()).transpose()?;
            let operands = [&parameters.view::<T>()?, &gradients.view::<T>()?];
            let [moved, kept] = cuda::sgd(card, step, operands, velocity.as_ref())?;
            let tensor = |values| cuda::tensor(values, card, parameter.shape());
            Ok((tensor(moved), (step.momentum > 0.0).then(|| tensor(kept))))
        });
    }
    let _ = step;
    bail!("sgd_on_card: expected an NVIDIA card, got {:?}", parameter.device().location())
}

/// `x` with every element clamped to the interval of `bound` around the same element of `center`, as a constant of the
/// same shape. Both are on one card.
///
/// # Errors
/// If they differ in shape, dtype or device, or that is no card.
pub fn clamp_on_card(x: &Tensor, center: &Tensor, bound: f64) -> Result<Tensor> {
    if x.dims() != center.dims() || x.dtype() != center.dtype() {
        bail!("clamp_on_card: {:?} around {:?}", x.shape(), center.shape());
    }
    #[cfg(feature = "cuda")]
    if let candle_core::Device::Cuda(card) = x.device() {
        use crate::cuda;

        let (x, center) = (x.contiguous()?, center.contiguous()?);
        let [xs, centers] = [&x, &center].map(|tensor| cuda::guard("clamp", tensor));
        let storage = xs.storage()?;
        return cuda::dispatch!("clamp", storage, T => {
            let y = cuda::clamp_around(card, (&xs.view::<T>()?, &centers.view::<T>()?), bound)?;
            Ok(cuda::tensor(y, card, x.shape()))
        });
    }
    let _ = bound;
    bail!("clamp_on_card: expected an NVIDIA card, got {:?}", x.device().location())
}
