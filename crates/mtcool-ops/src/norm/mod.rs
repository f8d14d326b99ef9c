//! Group and batch normalisation with scale, shift and activation in one operation.

mod forward;
mod gradient;
mod kernels;
mod sizes;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor, bail};

#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::{dispatch, on_cpu, on_elements};
use crate::recording::apply3;
use crate::settings::{Norm, Statistics};
pub(crate) use forward::{affines, apply, apply_in_place, moments};
pub(crate) use gradient::{backward, backward_in_place};
pub(crate) use kernels::Affine;

/// `activation((x - mean) / sqrt(variance + eps) * weight + bias)`: `x` `[B, C, ...]`, `weight` and `bias` `[C]`, to the
/// shape of `x`. The variance is the biased one (divided by the number of elements).
///
/// # Errors
/// If the shapes or dtypes do not fit each other, or the groups do not divide the channels.
pub fn norm(x: &Tensor, weight: &Tensor, bias: &Tensor, settings: Norm) -> Result<Tensor> {
    check(x.dims(), weight, bias, settings)?;
    apply3(x, weight, bias, settings)
}

/// Whether the operands fit an input of shape `dims`.
pub(crate) fn check(dims: &[usize], weight: &Tensor, bias: &Tensor, settings: Norm) -> Result<()> {
    if dims.len() < 2 || dims.contains(&0) || weight.dims() != [dims[1]] || bias.dims() != [dims[1]] {
        bail!(
            "norm: expected x [B, C, ...], not empty, weight [C] and bias [C], got {dims:?}, {:?}, {:?}",
            weight.dims(),
            bias.dims()
        );
    }
    match settings.statistics {
        Statistics::Group { groups } if groups == 0 || !dims[1].is_multiple_of(groups) => {
            bail!("norm: {groups} groups do not divide {} channels", dims[1])
        }
        _ => Ok(()),
    }
}

impl CustomOp3 for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        weight: &CpuStorage,
        wl: &Layout,
        bias: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let y = on_elements!(self.name(), T, x: xl, weight: wl, bias: bl => {
            let moments = moments(self, xl.dims(), x);
            apply(&affines(self, xl.dims(), &moments, &[weight, bias].concat()), self.activation, x)
        });
        Ok((y, xl.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        weight: &CudaStorage,
        wl: &Layout,
        bias: &CudaStorage,
        bl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::dispatch!("norm", x, T => {
            let (weight, bias) = (cuda::view::<T>("norm", weight, wl)?, cuda::view::<T>("norm", bias, bl)?);
            let scales = cuda::Scales { weight: &weight, bias: &bias };
            let y = cuda::norm(&x.device, self, xl.dims(), &cuda::view("norm", x, xl)?, &scales)?;
            Ok(cuda::result(y, &x.device, xl.shape()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        #[cfg(feature = "cuda")]
        if grad.device().is_cuda() {
            return self.backward_on_cuda(x, weight, bias, &grad);
        }
        let (xs, weights) = (on_cpu("norm", x), on_cpu("norm", weight));
        let (biases, grads) = (on_cpu("norm", bias), on_cpu("norm", &grad));
        dispatch!("norm", xs.storage()?, T => {
            let xs = xs.elements::<T>()?;
            let parameters = [weights.elements::<T>()?, biases.elements()?].concat();
            let moments = moments(self, x.dims(), xs);
            let (gradient, of_parameters) = backward(self, x.dims(), xs, &moments, &parameters, grads.elements::<T>()?);
            let tensor = |values: Vec<T>, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu);
            let input = if x.track_op() { Some(tensor(gradient, x)?) } else { None };
            let (of_weight, of_bias) = of_parameters.split_at(weight.elem_count());
            Ok((input, Some(tensor(of_weight.to_vec(), weight)?), Some(tensor(of_bias.to_vec(), bias)?)))
        })
    }
}

#[cfg(feature = "cuda")]
impl Norm {
    fn backward_on_cuda(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let guards = [x, weight, bias, grad].map(|tensor| cuda::guard("norm", tensor));
        let [xs, weights, biases, grads] = &guards;
        let storage = xs.storage()?;
        cuda::dispatch!("norm", storage, T => {
            let (weights, biases) = (weights.view::<T>()?, biases.view::<T>()?);
            let scales = cuda::Scales { weight: &weights, bias: &biases };
            let maps = (&xs.view::<T>()?, &grads.view::<T>()?);
            let gradients = cuda::norm_backward(&storage.device, self, x.dims(), maps, &scales)?;
            let [of_x, of_weight, of_bias] = gradients;
            let tensor = |gradient, like: &Tensor| cuda::tensor(gradient, &storage.device, like.shape());
            let input = x.track_op().then(|| tensor(of_x, x));
            Ok((input, Some(tensor(of_weight, weight)), Some(tensor(of_bias, bias))))
        })
    }
}
