//! 2-d convolution with bias and activation in one operation, and its three gradients.

mod chain;
mod channel_gradient;
mod direct;
mod direct_gradient;
#[cfg(test)]
mod guard;
mod input;
mod interleave;
mod lanes;
mod patches;
mod plane;
mod strategy;
#[cfg(test)]
mod tests;
mod transpose;

use std::borrow::Cow;
use std::sync::Arc;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Tensor, WithDType, bail};

#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::{dispatch_precision, elements, on_cpu};
use crate::geometry::Geometry;
use crate::pool::max_pool2d;
use crate::recording::{LateWeight, apply_late2, apply_late3};
use crate::rows::Rows;
use crate::settings::Conv2d;
use input::Input;
use strategy::Kept;

pub use chain::{ChainInput, ConvNormUnit, conv_norm_chain};
pub use transpose::conv_transpose2d;

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
    // On a GPU pooling is an operation of its own, and the map before it is kept: memory is cheaper there than computing
    // it again.
    if x.device().is_cuda()
        && let Some(pool) = settings.pool
    {
        return max_pool2d(&conv2d(x, kernel, bias, Conv2d { pool: None, ..settings })?, pool);
    }
    let is_tracked = x.track_op() || kernel.track_op() || bias.is_some_and(Tensor::track_op);
    let op = ConvOp { geometry, settings, kept: is_tracked.then(Kept::default) };
    let late = Arc::new(LateConv { geometry, settings: op.settings.clone() });
    match bias {
        Some(bias) => apply_late3(x, kernel, bias, op, late),
        None => apply_late2(x, kernel, op, late),
    }
}

struct ConvOp {
    geometry: Geometry,
    settings: Conv2d,
    /// Where the forward pass keeps what the backward pass needs; `None` if there will be no backward pass.
    kept: Option<Kept>,
}

impl ConvOp {
    fn forward(
        &self,
        (x, x_layout): (&CpuStorage, &Layout),
        (kernel, kernel_layout): (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let g = &self.geometry;
        let output = dispatch_precision!("conv2d", x, self.settings.precision, (T, A) => {
            let x = Input::new(elements::<T>("conv2d", x, x_layout)?, g.in_channels, g.height * g.width);
            let kernel = elements::<T>("conv2d", kernel, kernel_layout)?;
            let bias = match bias {
                Some((bias, layout)) => Some(elements::<T>("conv2d", bias, layout)?),
                None => None,
            };
            let output = strategy::forward::<T, A>(g, &self.settings, &x, kernel, bias, self.kept.as_ref());
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
        let (g, settings) = (&self.geometry, &self.settings);
        let grad = match settings.pool {
            Some(_) => grad.contiguous()?,
            None => settings.activation.backward(output, grad)?,
        };
        #[cfg(feature = "cuda")]
        if grad.device().is_cuda() {
            return self.backward_on_cuda(x, kernel, bias, &grad);
        }
        let name = "conv2d";
        let (xs, kernels, grads) = (on_cpu(name, x), on_cpu(name, kernel), on_cpu(name, &grad));
        dispatch_precision!("conv2d", grads.storage()?, settings.precision, (T, A) => {
            let grad = grads.elements::<T>()?;
            let map = if strategy::reorders(T::DTYPE, g, settings) {
                Cow::Owned(strategy::map_gradient(g, settings, self.kept.as_ref(), grad)?)
            } else {
                Cow::Borrowed(grad)
            };
            let rows = settings.rows.range(g.out_channels);
            let tensor = |values: Vec<T>, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu).map(Some);
            let input = if x.track_op() {
                let kernel = kernels.elements::<T>()?;
                tensor(strategy::input_gradient::<T, A>(g, kernel, &map), x)?
            } else {
                None
            };
            let weight = if kernel.track_op() {
                let x = Input::new(xs.elements::<T>()?, g.in_channels, g.height * g.width);
                let kept = self.kept.as_ref();
                tensor(strategy::kernel_gradient::<T, A>(g, kept, &x, &map, rows.clone())?, kernel)?
            } else {
                None
            };
            let bias = match bias {
                Some(bias) if bias.track_op() => tensor(strategy::bias_gradient(g, &map, rows), bias)?,
                _ => None,
            };
            Ok([input, weight, bias])
        })
    }
}

#[cfg(feature = "cuda")]
impl ConvOp {
    fn forward_on_cuda(
        &self,
        (x, x_layout): (&CudaStorage, &Layout),
        (kernel, kernel_layout): (&CudaStorage, &Layout),
        bias: Option<(&CudaStorage, &Layout)>,
    ) -> Result<(CudaStorage, Shape)> {
        let (g, settings, device) = (&self.geometry, &self.settings, &x.device);
        cuda::dispatch!("conv2d", x, T => {
            let operands =
                (&cuda::view::<T>("conv2d", x, x_layout)?, &cuda::view("conv2d", kernel, kernel_layout)?);
            let bias = bias.map(|(bias, layout)| cuda::view("conv2d", bias, layout)).transpose()?;
            let mut y = cuda::convolution(device, g, operands, settings.precision)?;
            cuda::bias_activation(device, &mut y, bias.as_ref(), g.out_pixels(), settings.activation)?;
            Ok(cuda::result(y, device, g.output_shape()))
        })
    }

    /// [`ConvOp::backward`] on a GPU, from the gradient of the linear map.
    fn backward_on_cuda(
        &self,
        x: &Tensor,
        kernel: &Tensor,
        bias: Option<&Tensor>,
        grad: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let (g, precision) = (&self.geometry, self.settings.precision);
        let rows = self.settings.rows.range(g.out_channels);
        // The gradient of the rows that train, `[B, rows, H', W']`.
        let trained = if rows.len() == g.out_channels || rows.is_empty() || !kernel.track_op() {
            grad.clone()
        } else {
            grad.narrow(1, rows.start, rows.len())?.contiguous()?
        };
        let guards = [x, kernel, grad, &trained].map(|tensor| cuda::guard("conv2d", tensor));
        let [xs, kernels, grads, of_rows] = &guards;
        let storage = grads.storage()?;
        let device = &storage.device;
        cuda::dispatch!("conv2d", storage, T => {
            let input = if x.track_op() {
                let operands = (&kernels.view::<T>()?, &grads.view::<T>()?);
                Some(cuda::tensor(cuda::input_gradient(device, g, operands, precision)?, device, x.shape()))
            } else {
                None
            };
            let weight = if !kernel.track_op() {
                None
            } else if rows.is_empty() {
                Some(kernel.zeros_like()?)
            } else {
                let own = Geometry { out_channels: rows.len(), ..*g };
                let operands = (&xs.view::<T>()?, &of_rows.view::<T>()?);
                let gradient = cuda::kernel_gradient(device, &own, operands, precision)?;
                let shape = Shape::from((rows.len(), g.in_channels, g.kernel_h, g.kernel_w));
                Some(padded(cuda::tensor(gradient, device, &shape), &rows, g.out_channels)?)
            };
            let bias = match bias {
                Some(bias) if bias.track_op() => {
                    let sizes = (g.batch, g.out_channels, g.out_pixels());
                    let sums = cuda::channel_sums(device, &grads.view::<T>()?, sizes, 1.0)?;
                    Some(cuda::tensor(cuda::only(device, sums, rows)?, device, bias.shape()))
                }
                _ => None,
            };
            Ok([input, weight, bias])
        })
    }
}

/// A kernel of `outputs` rows that has `trained` at `rows`, and zeros elsewhere.
#[cfg(feature = "cuda")]
fn padded(trained: Tensor, rows: &std::ops::Range<usize>, outputs: usize) -> Result<Tensor> {
    if rows.len() == outputs {
        return Ok(trained);
    }
    trained.pad_with_zeros(0, rows.start, outputs - rows.end)
}

/// A convolution of which some rows are computed later. It holds nothing that the forward pass keeps.
struct LateConv {
    geometry: Geometry,
    settings: Conv2d,
}

impl LateWeight for LateConv {
    /// With pooling, what the forward pass keeps would be needed.
    fn is_divisible(&self, count: usize) -> bool {
        self.settings.pool.is_none() && self.settings.rows.range(count) == (0..count)
    }

    fn gradient_of_rows(&self, x: &Tensor, kernel: &Tensor, output: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let geometry = Geometry { out_channels: kernel.dims()[0], ..self.geometry };
        let op = ConvOp { geometry, settings: Conv2d { rows: Rows::All, ..self.settings.clone() }, kept: None };
        match op.backward(x, kernel, None, output, gradient)? {
            [_, Some(of_kernel), _] => Ok(of_kernel),
            _ => bail!("conv2d: a kernel that is a constant has no gradient"),
        }
    }
}

impl CustomOp2 for ConvOp {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, k: &CpuStorage, kl: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward((x, xl), (k, kl), None)
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout, k: &CudaStorage, kl: &Layout) -> Result<(CudaStorage, Shape)> {
        self.forward_on_cuda((x, xl), (k, kl), None)
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

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        k: &CudaStorage,
        kl: &Layout,
        b: &CudaStorage,
        bl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.forward_on_cuda((x, xl), (k, kl), Some((b, bl)))
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
