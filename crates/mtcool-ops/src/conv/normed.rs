//! Convolution, normalisation and activation as one operation: the unit of a U-Net.
//!
//! The result equals [`conv2d`](super::conv2d) followed by [`norm`](crate::norm); what is saved is the gradient of the map
//! between them, which never becomes a tensor of the graph.

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, WithDType, bail};

use super::geometry::Geometry;
use super::strategy::{self, Kept};
use super::{Conv2d, Gradient, Operand, input_and_kernel};
use crate::activation::Activation;
use crate::element::{dispatch, elements};
use crate::norm::{self, Norm};

/// `norm(conv2d(x, kernel))` with the normalisation's activation: `x` `[B, C, H, W]`, `kernel` `[O, C, kh, kw]`, `weight` and
/// `bias` `[O]` of the normalisation. The convolution has no bias, which the normalisation would remove.
///
/// # Errors
/// If the shapes, dtypes or settings do not fit each other, or `conv` asks for an activation or pooling of its own.
pub fn conv_norm2d(
    x: &Tensor,
    kernel: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    conv: Conv2d,
    norm: Norm,
) -> Result<Tensor> {
    let geometry = Geometry::new(x.dims(), kernel.dims(), &conv)?;
    if conv.activation != Activation::Identity || conv.pool.is_some() {
        bail!("conv_norm2d: activation and pooling belong behind the normalisation, got {conv:?}");
    }
    let (batch, channels, height, width) = geometry.output_shape();
    norm::check(&[batch, channels, height, width], weight, bias, norm)?;
    let op = ConvNorm { geometry, conv, norm, map: Kept::default(), linear: Arc::default() };
    x.contiguous()?.apply_op3(&kernel.contiguous()?, &Tensor::cat(&[weight, bias], 0)?, op)
}

struct ConvNorm {
    geometry: Geometry,
    conv: Conv2d,
    norm: Norm,
    /// What the convolution keeps.
    map: Kept,
    /// The convolution's output, which the normalisation's gradient needs.
    linear: Arc<OnceLock<CpuStorage>>,
}

impl CustomOp3 for ConvNorm {
    fn name(&self) -> &'static str {
        "conv-norm2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        kernel: &CpuStorage,
        kl: &Layout,
        parameters: &CpuStorage,
        pl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let g = &self.geometry;
        let shape = Shape::from(g.output_shape());
        let output = dispatch!(self.name(), x, T => {
            let x = elements::<T>(self.name(), x, xl)?;
            let kernel = elements::<T>(self.name(), kernel, kl)?;
            let parameters = elements::<T>(self.name(), parameters, pl)?;
            let linear = strategy::forward(g, &self.conv, x, kernel, None, Some(&self.map));
            let output = norm::forward(&self.norm, shape.dims(), &linear, parameters);
            // A forward pass runs once, so the place is free.
            let _ = self.linear.set(T::to_cpu_storage_owned(linear));
            T::to_cpu_storage_owned(output)
        });
        Ok((output, shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        kernel: &Tensor,
        parameters: &Tensor,
        _output: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let g = &self.geometry;
        let backward = Backward { norm: self.norm, linear: self.linear.clone(), shape: g.output_shape().into() };
        // The gradient of the convolution's output, and behind it those of the normalisation's parameters.
        let gradients = parameters.contiguous()?.apply_op2_no_bwd(&grad.contiguous()?, &backward)?;
        let count = backward.shape.elem_count();
        let linear = gradients.narrow(0, 0, count)?;
        let gradient = |of| Gradient { of, geometry: *g, settings: self.conv.clone(), kept: Some(self.map.clone()) };
        let linear = match strategy::reorders(grad.dtype(), g, &self.conv) {
            true => linear.apply_op1_no_bwd(&gradient(Operand::Map))?,
            false => linear,
        };
        let (input, weight) = input_and_kernel(x, kernel, &linear, gradient)?;
        Ok((input, weight, Some(gradients.narrow(0, count, 2 * g.out_channels)?)))
    }
}

/// The normalisation's backward pass on the kept map.
struct Backward {
    norm: Norm,
    linear: Arc<OnceLock<CpuStorage>>,
    shape: Shape,
}

impl CustomOp2 for Backward {
    fn name(&self) -> &'static str {
        "conv-norm2d-backward"
    }

    fn cpu_fwd(
        &self,
        parameters: &CpuStorage,
        pl: &Layout,
        grad: &CpuStorage,
        gl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let Some(linear) = self.linear.get() else { bail!("{}: no forward pass", self.name()) };
        dispatch!(self.name(), grad, T => {
            let (grad, parameters) = (elements::<T>(self.name(), grad, gl)?, elements::<T>(self.name(), parameters, pl)?);
            let gradients = norm::backward(&self.norm, self.shape.dims(), linear.as_slice::<T>()?, parameters, grad);
            let shape = Shape::from(gradients.len());
            Ok((T::to_cpu_storage_owned(gradients), shape))
        })
    }
}
