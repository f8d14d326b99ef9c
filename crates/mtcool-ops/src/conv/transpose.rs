//! Transposed convolution whose windows do not overlap (2x2 with stride 2 in a U-Net): a 1x1 convolution to `O k k` channels
//! whose results are laid out as k x k tiles.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

use super::geometry::Geometry;
use super::{Conv2d, strategy};
use crate::activation::Activation;
use crate::element::{Element, dispatch, elements, sum};
use crate::rows::Rows;

/// Transposed convolution of `x` `[B, C, H, W]` with `kernel` `[C, O, k, k]` and stride k, plus `bias` `[O]`:
/// `[B, O, kH, kW]`.
///
/// # Errors
/// If the shapes or dtypes do not fit each other; the message names them.
pub fn conv_transpose2d(x: &Tensor, kernel: &Tensor, bias: &Tensor) -> Result<Tensor> {
    match (x.dims(), kernel.dims(), bias.dims()) {
        (&[_, channels, ..], &[reads, outputs, k, other], &[biases])
            if x.rank() == 4 && channels == reads && outputs == biases && k == other && k > 0 => {}
        (x, kernel, bias) => {
            bail!(
                "conv_transpose2d: expected x [B, C, H, W], kernel [C, O, k, k], bias [O], got {x:?}, {kernel:?}, {bias:?}"
            )
        }
    }
    x.contiguous()?.apply_op3(&kernel.contiguous()?, &bias.contiguous()?, Transpose)
}

/// The sizes of one transposed convolution.
#[derive(Clone, Copy)]
struct Sizes {
    /// Of the 1x1 convolution.
    point: Geometry,
    outputs: usize,
    k: usize,
}

impl Sizes {
    fn new(x: &[usize], kernel: &[usize]) -> Result<Self> {
        let (outputs, k) = (kernel[1], kernel[2]);
        let point = Geometry::new(x, &[outputs * k * k, kernel[0], 1, 1], &Conv2d::default())?;
        Ok(Self { point, outputs, k })
    }

    fn output_shape(&self) -> (usize, usize, usize, usize) {
        (self.point.batch, self.outputs, self.point.height * self.k, self.point.width * self.k)
    }

    /// `[C, O, k, k]` as rows `[O k k, C]`, or back.
    fn turn<T: Element>(&self, kernel: &[T], to_rows: bool) -> Vec<T> {
        let (rows, columns) = match to_rows {
            true => (self.outputs * self.k * self.k, self.point.in_channels),
            false => (self.point.in_channels, self.outputs * self.k * self.k),
        };
        (0..rows * columns).map(|at| kernel[at % columns * rows + at / columns]).collect()
    }

    /// Visits each row of small pixels: (row of `[B, O k k, H, W]`, first element of `[B, O, kH, kW]` it goes to); its pixels
    /// are k apart there.
    fn tiles(&self, plane: usize) -> impl Iterator<Item = (usize, usize)> {
        let Self { point, k, .. } = *self;
        let (height, width) = (point.height, point.width);
        // `plane` counts output planes; its k x k small planes follow each other.
        (0..k * k).flat_map(move |tap| {
            (0..height).map(move |y| {
                let small = ((plane * k * k + tap) * height + y) * width;
                (small, (y * k + tap / k) * width * k + tap % k)
            })
        })
    }

    fn forward<T: Element>(&self, x: &[T], kernel: &[T], bias: &[T]) -> Vec<T> {
        let small = strategy::forward(&self.point, &Conv2d::default(), x, &self.turn(kernel, true), None, None);
        let plane_len = self.point.out_pixels() * self.k * self.k;
        let mut output = vec![T::zero(); small.len()];
        output.par_chunks_mut(plane_len).enumerate().for_each(|(plane, output)| {
            let bias = bias[plane % self.outputs];
            for (from, to) in self.tiles(plane) {
                let targets = output[to..].iter_mut().step_by(self.k);
                targets.zip(&small[from..from + self.point.width]).for_each(|(target, &value)| *target = value + bias);
            }
        });
        output
    }

    /// The gradient of the output as `[B, O k k, H, W]`.
    fn split<T: Element>(&self, grad: &[T]) -> Vec<T> {
        let plane_len = self.point.out_pixels() * self.k * self.k;
        let mut small = vec![T::zero(); grad.len()];
        let planes = small.par_chunks_mut(plane_len).zip(grad.par_chunks(plane_len));
        planes.for_each(|(small, grad)| {
            for (at, from) in self.tiles(0) {
                let sources = grad[from..].iter().step_by(self.k);
                small[at..at + self.point.width].iter_mut().zip(sources).for_each(|(target, &value)| *target = value);
            }
        });
        small
    }
}

struct Transpose;

impl CustomOp3 for Transpose {
    fn name(&self) -> &'static str {
        "conv-transpose2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        kernel: &CpuStorage,
        kl: &Layout,
        bias: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::new(xl.dims(), kl.dims())?;
        let output = dispatch!(self.name(), x, T => {
            let x = elements::<T>(self.name(), x, xl)?;
            let kernel = elements::<T>(self.name(), kernel, kl)?;
            T::to_cpu_storage_owned(sizes.forward(x, kernel, elements::<T>(self.name(), bias, bl)?))
        });
        Ok((output, sizes.output_shape().into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        kernel: &Tensor,
        bias: &Tensor,
        _output: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let sizes = Sizes::new(x.dims(), kernel.dims())?;
        let gradient = |of| TransposeGradient { of, sizes };
        let small = grad.contiguous()?.apply_op1_no_bwd(&gradient(Operand::Output))?;
        let tracked = |operand: &Tensor, other: &Tensor, of| match operand.track_op() {
            true => other.apply_op2_no_bwd(&small, &gradient(of)).map(Some),
            false => Ok(None),
        };
        Ok((
            tracked(x, kernel, Operand::Input)?,
            tracked(kernel, x, Operand::Kernel)?,
            tracked(bias, bias, Operand::Bias)?,
        ))
    }
}

#[derive(Clone, Copy)]
enum Operand {
    Output,
    Input,
    Kernel,
    Bias,
}

/// A gradient as a forward-only operation.
struct TransposeGradient {
    of: Operand,
    sizes: Sizes,
}

impl CustomOp1 for TransposeGradient {
    fn name(&self) -> &'static str {
        "conv-transpose2d-split"
    }

    fn cpu_fwd(&self, grad: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let small = dispatch!("conv-transpose2d-split", grad, T => {
            T::to_cpu_storage_owned(self.sizes.split(elements::<T>("conv-transpose2d-split", grad, layout)?))
        });
        Ok((small, self.sizes.point.output_shape().into()))
    }
}

impl CustomOp2 for TransposeGradient {
    fn name(&self) -> &'static str {
        "conv-transpose2d-gradient"
    }

    fn cpu_fwd(&self, other: &CpuStorage, ol: &Layout, small: &CpuStorage, sl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (sizes, point) = (&self.sizes, &self.sizes.point);
        let k = sizes.k;
        dispatch!("conv-transpose2d-gradient", small, T => {
            let small = elements::<T>("conv-transpose2d-gradient", small, sl)?;
            let other = elements::<T>("conv-transpose2d-gradient", other, ol)?;
            let settings = Conv2d { activation: Activation::Identity, rows: Rows::All, ..Conv2d::default() };
            // The 1x1 convolution's own layout of the gradient, where that is not NCHW.
            let reordered = match strategy::reorders(T::DTYPE, point, &settings) {
                true => Some(strategy::map_gradient(point, &settings, None, small)?),
                false => None,
            };
            let map = reordered.as_deref().unwrap_or(small);
            let (result, shape): (Vec<T>, Shape) = match self.of {
                Operand::Output => (small.to_vec(), point.output_shape().into()),
                Operand::Input => (strategy::input_gradient(point, &sizes.turn(other, true), map), point.input_shape().into()),
                Operand::Kernel => {
                    let rows = strategy::kernel_gradient(point, None, other, map, 0..point.out_channels)?;
                    (sizes.turn(&rows, false), (point.in_channels, sizes.outputs, k, k).into())
                }
                Operand::Bias => {
                    let plane = point.out_pixels() * k * k;
                    let of_output = |output: usize| {
                        let planes = small.chunks_exact(plane).skip(output).step_by(sizes.outputs);
                        planes.map(sum).fold(T::from_f64(0.0), |total, value| total + value)
                    };
                    ((0..sizes.outputs).into_par_iter().map(of_output).collect(), sizes.outputs.into())
                }
            };
            Ok((T::to_cpu_storage_owned(result), shape))
        })
    }
}
