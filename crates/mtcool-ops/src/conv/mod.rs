//! 2-d convolution with bias and activation in one operation, and its three gradients.

mod direct;
mod direct_gradient;
mod geometry;
mod lanes;
mod normed;
mod patches;
mod plane;
mod strategy;
#[cfg(test)]
mod tests;
mod transpose;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, WithDType, bail};

use crate::activation::Activation;
use crate::element::{dispatch, elements};
use crate::pool::MaxPool2d;
use crate::rows::Rows;
use geometry::Geometry;
use strategy::Kept;

pub use normed::conv_norm2d;
pub use transpose::conv_transpose2d;

/// Settings of [`conv2d`]. The default is stride 1, no padding, no dilation, no activation, every row trained.
#[derive(Clone, Debug)]
pub struct Conv2d {
    /// Step between windows, in pixels, the same both ways.
    pub stride: usize,
    /// Zeros around the input, in pixels, the same on all sides.
    pub padding: usize,
    /// Distance between a kernel's taps, in pixels.
    pub dilation: usize,
    /// Applied to the output inside the operation.
    pub activation: Activation,
    /// Max-pooling after the activation, inside the operation: the full-size map is never handed out.
    pub pool: Option<MaxPool2d>,
    /// Kernel rows whose weight and bias gradients are computed.
    pub rows: Rows,
}

impl Default for Conv2d {
    fn default() -> Self {
        Self { stride: 1, padding: 0, dilation: 1, activation: Activation::Identity, pool: None, rows: Rows::All }
    }
}

/// Cross-correlation of `x` `[B, C, H, W]` with `kernel` `[O, C, kh, kw]` plus `bias` `[O]`, then the activation:
/// `[B, O, (H + 2p - d(kh-1) - 1)/s + 1, ...]`, then the pooling, if any.
///
/// # Errors
/// If the shapes, dtypes or settings do not fit each other; the message names the operand.
pub fn conv2d(x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>, settings: Conv2d) -> Result<Tensor> {
    let geometry = Geometry::new(x.dims(), kernel.dims(), &settings)?;
    if let Some(bias) = bias
        && bias.dims() != [geometry.out_channels]
    {
        bail!("conv2d: expected a bias of shape [{}], got {:?}", geometry.out_channels, bias.dims());
    }
    if let Some(pool) = settings.pool {
        pool.check(geometry.out_h, geometry.out_w)?;
    }
    let (x, kernel) = (x.contiguous()?, kernel.contiguous()?);
    let is_tracked = x.track_op() || kernel.track_op() || bias.is_some_and(Tensor::track_op);
    let op = ConvOp { geometry, settings, kept: is_tracked.then(Kept::default) };
    match bias {
        Some(bias) => x.apply_op3(&kernel, &bias.contiguous()?, op),
        None => x.apply_op2(&kernel, op),
    }
}

struct ConvOp {
    geometry: Geometry,
    settings: Conv2d,
    /// If there will be a backward pass.
    kept: Option<Kept>,
}

impl ConvOp {
    fn forward(
        &self,
        (x, x_layout): (&CpuStorage, &Layout),
        (kernel, kernel_layout): (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let output = dispatch!("conv2d", x, T => {
            let x = elements::<T>("conv2d", x, x_layout)?;
            let kernel = elements::<T>("conv2d", kernel, kernel_layout)?;
            let bias = match bias {
                Some((bias, layout)) => Some(elements::<T>("conv2d", bias, layout)?),
                None => None,
            };
            let output = strategy::forward(&self.geometry, &self.settings, x, kernel, bias, self.kept.as_ref());
            T::to_cpu_storage_owned(output)
        });
        let (batch, channels, height, width) = self.geometry.output_shape();
        let side = |side| self.settings.pool.map_or(side, |pool| pool.output_side(side));
        Ok((output, (batch, channels, side(height), side(width)).into()))
    }

    /// Gradients of input, kernel and bias; `None` for an operand the graph does not track.
    fn backward(
        &self,
        x: &Tensor,
        kernel: &Tensor,
        bias: Option<&Tensor>,
        output: &Tensor,
        grad: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let gradient =
            |of| Gradient { of, geometry: self.geometry, settings: self.settings.clone(), kept: self.kept.clone() };
        let grad = match self.settings.pool {
            Some(_) => grad.contiguous()?,
            None => self.settings.activation.backward(output, grad)?,
        };
        let grad = match strategy::reorders(grad.dtype(), &self.geometry, &self.settings) {
            true => grad.apply_op1_no_bwd(&gradient(Operand::Map))?,
            false => grad,
        };
        let (input, weight) = input_and_kernel(x, kernel, &grad, gradient)?;
        let bias = match bias {
            Some(bias) if bias.track_op() => Some(bias.apply_op2_no_bwd(&grad, &gradient(Operand::Bias))?),
            _ => None,
        };
        Ok([input, weight, bias])
    }
}

/// Gradients of input and kernel from that of the linear map; `None` for one the graph does not track.
fn input_and_kernel(
    x: &Tensor,
    kernel: &Tensor,
    map: &Tensor,
    gradient: impl Fn(Operand) -> Gradient,
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let tracked = |operand: &Tensor, other: &Tensor, of| match operand.track_op() {
        true => other.apply_op2_no_bwd(map, &gradient(of)).map(Some),
        false => Ok(None),
    };
    Ok((tracked(x, kernel, Operand::Input)?, tracked(kernel, x, Operand::Kernel)?))
}

impl CustomOp2 for ConvOp {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, k: &CpuStorage, kl: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward((x, xl), (k, kl), None)
    }

    fn bwd(&self, x: &Tensor, k: &Tensor, output: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [x, k, _] = self.backward(x, k, None, output, grad)?;
        Ok((x, k))
    }
}

impl CustomOp3 for ConvOp {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        k: &CpuStorage,
        kl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((x, xl), (k, kl), Some((b, bl)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        k: &Tensor,
        b: &Tensor,
        output: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [x, k, b] = self.backward(x, k, Some(b), output, grad)?;
        Ok((x, k, b))
    }
}

/// What a [`Gradient`] is the gradient of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    /// The linear map, in the strategy's layout: what the other three start from.
    Map,
    Input,
    Kernel,
    Bias,
}

/// A gradient as a forward-only operation.
struct Gradient {
    of: Operand,
    geometry: Geometry,
    settings: Conv2d,
    kept: Option<Kept>,
}

/// From the gradient of the output to that of the linear map.
impl CustomOp1 for Gradient {
    fn name(&self) -> &'static str {
        "conv2d-map-gradient"
    }

    fn cpu_fwd(&self, grad: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        dispatch!("conv2d-map-gradient", grad, T => {
            let grad = elements::<T>("conv2d-map-gradient", grad, layout)?;
            let map = strategy::map_gradient(&self.geometry, &self.settings, self.kept.as_ref(), grad)?;
            let shape = Shape::from(map.len());
            Ok((T::to_cpu_storage_owned(map), shape))
        })
    }
}

/// From (the other operand, the gradient of the linear map) to the gradient of an operand.
impl CustomOp2 for Gradient {
    fn name(&self) -> &'static str {
        "conv2d-gradient"
    }

    fn cpu_fwd(
        &self,
        other: &CpuStorage,
        other_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let g = &self.geometry;
        let rows = self.settings.rows.range(g.out_channels);
        let result = dispatch!("conv2d-gradient", grad, T => {
            let grad = elements::<T>("conv2d-gradient", grad, grad_layout)?;
            let other = elements::<T>("conv2d-gradient", other, other_layout)?;
            T::to_cpu_storage_owned(match self.of {
                Operand::Map => grad.to_vec(),
                Operand::Input => strategy::input_gradient(g, other, grad),
                Operand::Kernel => strategy::kernel_gradient(g, self.kept.as_ref(), other, grad, rows)?,
                Operand::Bias => strategy::bias_gradient(g, grad, rows),
            })
        });
        let shape: Shape = match self.of {
            Operand::Map => grad_layout.shape().clone(),
            Operand::Input => g.input_shape().into(),
            Operand::Kernel => g.kernel_shape().into(),
            Operand::Bias => g.out_channels.into(),
        };
        Ok((result, shape))
    }
}
