//! ReLU, alone or fused behind a linear operation.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, WithDType};

use rayon::prelude::*;

#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::{Element, on_elements};
use crate::jobs::ELEMENTS_A_JOB;
use crate::recording::apply1;
use crate::settings::Activation;

impl Activation {
    /// The gradient of the linear part, given the activated `output` and the gradient of that output.
    pub(crate) fn backward(self, output: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let grad = grad.contiguous()?;
        match self {
            Activation::Identity => Ok(grad),
            Activation::Relu => output.apply_op2_no_bwd(&grad, &ReluBackward),
        }
    }
}

/// `max(0, x)` of any shape; NaN stays NaN. The gradient at 0 is 0.
///
/// # Errors
/// If `x` is neither f32 nor f64.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    apply1(x, Relu)
}

/// `max(0, x)` that keeps NaN, which `Float::max` would drop.
#[inline]
pub(crate) fn relu_scalar<T: Element>(x: T) -> T {
    if x < T::zero() { T::zero() } else { x }
}

struct Relu;

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let output = on_elements!(self.name(), T, x: layout => {
            x.par_iter().with_min_len(ELEMENTS_A_JOB).map(|&x| relu_scalar(x)).collect()
        });
        Ok((output, layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::dispatch!("relu", x, T => {
            let y = cuda::relu::<T>(&x.device, &cuda::view("relu", x, layout)?)?;
            Ok(cuda::result(y, &x.device, layout.shape()))
        })
    }

    fn bwd(&self, _x: &Tensor, output: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Activation::Relu.backward(output, grad).map(Some)
    }
}

/// `grad` where `output > 0` (or NaN), else 0.
struct ReluBackward;

impl CustomOp2 for ReluBackward {
    fn name(&self) -> &'static str {
        "relu-backward"
    }

    fn cpu_fwd(
        &self,
        output: &CpuStorage,
        output_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let result = on_elements!(self.name(), T, output: output_layout, grad: grad_layout => {
            let zero = T::from_f64(0.0);
            let pairs = output.par_iter().zip(grad).with_min_len(ELEMENTS_A_JOB);
            pairs.map(|(&y, &g)| if y <= zero { zero } else { g }).collect()
        });
        Ok((result, output_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        output: &CudaStorage,
        output_layout: &Layout,
        grad: &CudaStorage,
        grad_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let name = self.name();
        cuda::dispatch!(name, output, T => {
            let (output, device) = (cuda::view::<T>(name, output, output_layout)?, &output.device);
            let result = cuda::relu_backward(device, &output, &cuda::view(name, grad, grad_layout)?)?;
            Ok(cuda::result(result, device, output_layout.shape()))
        })
    }
}
