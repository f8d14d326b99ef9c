//! 2-d convolution with bias and activation in one operation, and its three gradients.

mod direct;
mod direct_gradient;
mod geometry;
mod lanes;
mod normed;
mod patches;
mod plane;
mod strategy;
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
        let input = match x.track_op() {
            true => Some(kernel.apply_op2_no_bwd(&grad, &gradient(Operand::Input))?),
            false => None,
        };
        let weight = match kernel.track_op() {
            true => Some(x.apply_op2_no_bwd(&grad, &gradient(Operand::Kernel))?),
            false => None,
        };
        let bias = match bias {
            Some(bias) if bias.track_op() => Some(bias.apply_op2_no_bwd(&grad, &gradient(Operand::Bias))?),
            _ => None,
        };
        Ok([input, weight, bias])
    }
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

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use proptest::prelude::*;

    use super::lanes::Lanes;
    use super::*;
    use crate::element::Element;
    use crate::simd::Level;

    fn numbers<T: Element>(count: usize, seed: u64) -> Vec<T> {
        let mut state = seed | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            T::from_f64((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
        };
        (0..count).map(|_| next()).collect()
    }

    fn close<T: Element>(got: &[T], want: &[T], tolerance: f64) -> std::result::Result<(), TestCaseError> {
        prop_assert_eq!(got.len(), want.len());
        for (at, (got, want)) in got.iter().zip(want).enumerate() {
            let (got, want) = (WithDType::to_f64(*got), WithDType::to_f64(*want));
            prop_assert!(
                (got - want).abs() <= tolerance * want.abs().max(1.0),
                "element {}: {} against {}",
                at,
                got,
                want
            );
        }
        Ok(())
    }

    /// Every direct kernel of every level this processor has, against the patch-matrix twin.
    fn in_lock_step<T: Element>(
        g: &Geometry,
        rows: Range<usize>,
        tolerance: f64,
    ) -> std::result::Result<(), TestCaseError> {
        let (outputs, taps) = (g.batch * g.out_channels * g.out_pixels(), g.out_channels * g.taps());
        let (x, grad) = (numbers::<T>(g.batch * g.input_len(), 1), numbers::<T>(outputs, 2));
        let (kernel, bias) = (numbers::<T>(taps, 3), numbers::<T>(g.out_channels, 4));
        for level in Level::available() {
            for (bias, activation) in [(None, Activation::Identity), (Some(&bias[..]), Activation::Relu)] {
                let want = patches::forward(g, &x, &kernel, bias, activation);
                close(&direct::forward(level, g, &x, &kernel, bias, activation), &want, tolerance)?;
            }
            let want = patches::kernel_gradient(g, &x, &grad, rows.clone());
            close(
                &direct_gradient::kernel_gradient(level, g, &x, &grad, rows.clone()),
                &want,
                tolerance * g.out_pixels() as f64,
            )?;
            in_lanes(level, g, (&x, &grad, &kernel, &bias), rows.clone(), tolerance)?;
            if let Some(got) = direct::input_gradient(level, g, &kernel, &grad) {
                close(&got, &patches::input_gradient(g, &kernel, &grad), tolerance)?;
            }
        }
        Ok(())
    }

    /// The lanes kernels, pooling included.
    fn in_lanes<T: Element>(
        level: Level,
        g: &Geometry,
        (x, grad, kernel, bias): (&[T], &[T], &[T], &[T]),
        rows: Range<usize>,
        tolerance: f64,
    ) -> std::result::Result<(), TestCaseError> {
        let (lanes, sample) = (Lanes::new::<T>(level), g.out_channels * g.out_pixels());
        let input = lanes.gather_batch(x, g.input_len());
        prop_assert!(lanes.scatter_batch(&input, g.input_len(), g.batch) == x);
        let map = lanes.forward(level, g, &input, kernel, Some(bias), Activation::Relu);
        let want = patches::forward(g, x, kernel, Some(bias), Activation::Relu);
        close(&lanes.scatter_batch(&map, sample, g.batch), &want, tolerance)?;
        let grad_lanes = lanes.gather_batch(grad, sample);
        let got = lanes.input_gradient(level, g, kernel, &grad_lanes);
        close(
            &lanes.scatter_batch(&got, g.input_len(), g.batch),
            &patches::input_gradient(g, kernel, grad),
            tolerance,
        )?;
        let want = patches::kernel_gradient(g, x, grad, rows.clone());
        close(
            &lanes.kernel_gradient(level, g, &input, &grad_lanes, rows.clone()),
            &want,
            tolerance * g.out_pixels() as f64,
        )?;
        let want = patches::bias_gradient(g, grad, rows.clone());
        close(&lanes.bias_gradient(g, &grad_lanes, rows), &want, tolerance * g.out_pixels() as f64)?;
        let pool = MaxPool2d { kernel: 2.min(g.out_h).min(g.out_w), stride: 2 };
        let (small, out_w) = (pool.output_side(g.out_h) * pool.output_side(g.out_w), pool.output_side(g.out_w));
        let pooled = lanes.pool(level, pool, g, &map);
        let back = lanes.gather_batch(&grad[..g.batch * g.out_channels * small], g.out_channels * small);
        let unpool = |activation| {
            let unpooled = lanes.unpool(level, pool, g, activation, &map, &pooled, &back);
            lanes.scatter_batch(&unpooled, sample, g.batch)
        };
        let (unpooled, rectified) = (unpool(Activation::Identity), unpool(Activation::Relu));
        let (map, pooled) =
            (lanes.scatter_batch(&map, sample, g.batch), lanes.scatter_batch(&pooled, g.out_channels * small, g.batch));
        for (plane, map) in map.chunks_exact(g.out_pixels()).enumerate() {
            let (mut output, mut result) = (vec![T::zero(); small], vec![T::zero(); g.out_pixels()]);
            pool.forward(map, g.out_w, &mut output, out_w);
            pool.backward(map, g.out_w, &grad[plane * small..][..small], out_w, &mut result);
            prop_assert!(pooled[plane * small..][..small] == output);
            prop_assert!(unpooled[plane * g.out_pixels()..][..g.out_pixels()] == result);
            let masked = result.iter().zip(map).map(|(&g, &y)| if y <= T::zero() { T::zero() } else { g });
            prop_assert!(masked.eq(rectified[plane * g.out_pixels()..][..g.out_pixels()].iter().copied()));
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn direct_kernels_agree_with_the_patch_matrix(
            (batch, channels, outputs) in (1usize..4, 1usize..6, 1usize..20),
            (height, width) in (1usize..20, 1usize..40),
            (kernel_h, kernel_w) in (1usize..6, 1usize..6),
            padding in 0usize..4,
            dilation in 1usize..3,
            (cut, end) in (0usize..20, 0usize..20),
        ) {
            let settings = Conv2d { padding, dilation, ..Conv2d::default() };
            let sizes = Geometry::new(&[batch, channels, height, width], &[outputs, channels, kernel_h, kernel_w], &settings);
            prop_assume!(sizes.is_ok());
            let g = sizes.unwrap();
            let rows = cut.min(end).min(outputs)..cut.max(end).min(outputs);
            in_lock_step::<f32>(&g, rows.clone(), 2e-5)?;
            in_lock_step::<f64>(&g, rows, 1e-12)?;
        }

        /// Several blocks of lanes, the last one partly filled.
        #[test]
        fn lanes_agree_with_the_patch_matrix_for_large_batches(
            batch in 1usize..150,
            (channels, outputs) in (1usize..4, 1usize..9),
            (height, width) in (1usize..8, 1usize..8),
            (kernel, padding) in (1usize..4, 0usize..3),
            (cut, end) in (0usize..9, 0usize..9),
        ) {
            let settings = Conv2d { padding, ..Conv2d::default() };
            let sizes = Geometry::new(&[batch, channels, height, width], &[outputs, channels, kernel, kernel], &settings);
            prop_assume!(sizes.is_ok());
            let g = sizes.unwrap();
            let rows = cut.min(end).min(outputs)..cut.max(end).min(outputs);
            in_lock_step::<f32>(&g, rows.clone(), 2e-5)?;
            in_lock_step::<f64>(&g, rows, 1e-12)?;
        }
    }
}
