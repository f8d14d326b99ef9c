//! Transposed convolution whose windows do not overlap (2x2 with stride 2 in a U-Net): a 1x1 convolution to `O k k` channels
//! whose results are laid out as k x k tiles.

use std::borrow::Cow;
use std::mem::MaybeUninit;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

use super::input::Input;
use super::interleave::{Interleave, Separate};
use super::strategy;
use crate::arithmetic::Arithmetic;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::{Element, dispatch_precision, elements, on_cpu, sum};
use crate::geometry::Geometry;
use crate::memory::initialised;
use crate::recording::apply3;
use crate::settings::{Conv2d, Precision};
use crate::simd::{Level, run};

/// Transposed convolution of `x` `[B, C, H, W]` with `kernel` `[C, O, k, k]` and stride k, plus `bias` `[O]`:
/// `[B, O, kH, kW]`. `precision` is the precision of the operands of every multiplication.
///
/// # Errors
/// If the shapes or dtypes do not fit each other; the message names them.
pub fn conv_transpose2d(x: &Tensor, kernel: &Tensor, bias: &Tensor, precision: Precision) -> Result<Tensor> {
    Sizes::checked(x, kernel, bias)?;
    apply3(x, kernel, bias, Transpose(precision))
}

/// Elements of the output up to which a transposed convolution is computed as a whole.
const ELEMENTS_AT_ONCE: usize = 1 << 22;

/// The sizes of one transposed convolution.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// The sizes of the 1x1 convolution.
    point: Geometry,
    outputs: usize,
    k: usize,
}

impl Sizes {
    /// The sizes, if the operands fit each other.
    pub(super) fn checked(x: &Tensor, kernel: &Tensor, bias: &Tensor) -> Result<Self> {
        match (x.dims(), kernel.dims(), bias.dims()) {
            (&[_, channels, _, _], &[reads, outputs, k, other], &[biases])
                if channels == reads && outputs == biases && k == other && k > 0 =>
            {
                Self::new(x.dims(), kernel.dims())
            }
            (x, kernel, bias) => {
                bail!(
                    "conv_transpose2d: expected x [B, C, H, W], kernel [C, O, k, k], bias [O], got {x:?}, {kernel:?}, {bias:?}"
                )
            }
        }
    }

    fn new(x: &[usize], kernel: &[usize]) -> Result<Self> {
        let (outputs, k) = (kernel[1], kernel[2]);
        let point = Geometry::new(x, &[outputs * k * k, kernel[0], 1, 1], &Conv2d::default())?;
        Ok(Self { point, outputs, k })
    }

    /// Elements of the kernel.
    pub(super) fn kernel_len(&self) -> usize {
        self.point.in_channels * self.outputs * self.k * self.k
    }

    pub(super) fn output_shape(&self) -> (usize, usize, usize, usize) {
        (self.point.batch, self.outputs, self.point.height * self.k, self.point.width * self.k)
    }

    /// The transpose of a kernel: `[C, O, k, k]` to rows `[O k k, C]`, or the inverse.
    fn turn<T: Element>(&self, kernel: &[T], to_rows: bool) -> Vec<T> {
        let (rows, columns) = if to_rows {
            (self.outputs * self.k * self.k, self.point.in_channels)
        } else {
            (self.point.in_channels, self.outputs * self.k * self.k)
        };
        (0..rows * columns)
            .into_par_iter()
            .with_min_len(4096)
            .map(|at| kernel[at % columns * rows + at / columns])
            .collect()
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

    pub(super) fn forward<T: Element, A: Arithmetic<T>>(&self, x: &[T], kernel: &[T], bias: &[T]) -> Vec<T> {
        self.forward_by::<T, A>(ELEMENTS_AT_ONCE, x, kernel, bias)
    }

    /// [`Self::forward`], part by part where there are more than `most` elements, so that the small planes of few output planes are in
    /// memory at the same time.
    fn forward_by<T: Element, A: Arithmetic<T>>(&self, most: usize, x: &[T], kernel: &[T], bias: &[T]) -> Vec<T> {
        let Self { point, outputs, k } = *self;
        let kernel = self.turn(kernel, true);
        let plane_len = point.out_pixels() * k * k;
        let total = point.batch * outputs * plane_len;
        // Output planes of a part, within one sample. In lanes, samples belong together.
        let at_once = (most / plane_len.max(1)).clamp(1, outputs.max(1));
        let alone = Self { point: Geometry { batch: 1, out_channels: at_once * k * k, ..point }, outputs: at_once, k };
        let together =
            [self, &alone].into_iter().any(|sizes| strategy::reorders(T::DTYPE, &sizes.point, &Conv2d::default()));
        let write = |output: &mut [MaybeUninit<T>]| {
            if total <= most || together {
                return self.lay_out::<T, A>(x, &kernel, bias, output);
            }
            let sample_len = point.in_channels * point.height * point.width;
            for (x, output) in x.chunks_exact(sample_len).zip(output.chunks_exact_mut(outputs * plane_len)) {
                let kernels = kernel.chunks(at_once * k * k * point.in_channels);
                let parts = output.chunks_mut(at_once * plane_len).zip(kernels).zip(bias.chunks(at_once));
                for ((output, kernel), bias) in parts {
                    let point = Geometry { out_channels: bias.len() * k * k, ..alone.point };
                    Self { point, outputs: bias.len(), k }.lay_out::<T, A>(x, kernel, bias, output);
                }
            }
        };
        // SAFETY: `lay_out` writes all of its output, and the parts of all samples are the whole output.
        unsafe { initialised(total, write) }
    }

    /// Writes every element of `output`, from the rows of a turned kernel.
    fn lay_out<T: Element, A: Arithmetic<T>>(&self, x: &[T], kernel: &[T], bias: &[T], output: &mut [MaybeUninit<T>]) {
        let small = strategy::forward::<T, A>(&self.point, &Conv2d::default(), &self.input(x), kernel, None, None);
        let plane_len = self.point.out_pixels() * self.k * self.k;
        assert_eq!(small.len(), output.len(), "conv_transpose2d: an output of another size");
        // The chunks are whole planes, `k k` small planes each. With k = 2, `quads` gives the `2 height` rows of a plane in order
        // and `Interleave` writes each of them whole; otherwise the tiles of all taps and rows are the whole plane.
        output.par_chunks_mut(plane_len).enumerate().for_each(|(plane, output)| {
            let bias = bias[plane % self.outputs];
            if self.k == 2 {
                let small = &small[plane * plane_len..(plane + 1) * plane_len];
                return self.quads(small).zip(output.chunks_exact_mut(2 * self.point.width)).for_each(
                    |((first, second), target)| run(Level::best(), Interleave { first, second, bias, target }),
                );
            }
            for (from, to) in self.tiles(plane) {
                let targets = output[to..].iter_mut().step_by(self.k);
                let pairs = targets.zip(&small[from..from + self.point.width]);
                pairs.for_each(|(target, &value)| {
                    target.write(value + bias);
                });
            }
        });
    }

    /// The two rows of small pixels that make up each row of a plane, top to bottom, of a 2x2 kernel.
    fn quads<'a, T>(&self, small: &'a [T]) -> impl Iterator<Item = (&'a [T], &'a [T])> {
        let Geometry { height, width, .. } = self.point;
        let row = move |tap: usize, y: usize| &small[(tap * height + y) * width..][..width];
        (0..2 * height).map(move |y| (row(y % 2 * 2, y / 2), row(y % 2 * 2 + 1, y / 2)))
    }

    fn input<'a, T: Element>(&self, x: &'a [T]) -> Input<'a, T> {
        Input::new(x, self.point.in_channels, self.point.height * self.point.width)
    }

    /// The gradient of the output as `[B, O k k, H, W]`.
    fn split<T: Element>(&self, grad: &[T]) -> Vec<T> {
        let width = self.point.width;
        let plane_len = self.point.out_pixels() * self.k * self.k;
        let write = |small: &mut [MaybeUninit<T>]| {
            let planes = small.par_chunks_mut(plane_len).zip(grad.par_chunks(plane_len));
            planes.for_each(|(small, grad)| {
                if self.k == 2 {
                    let (upper, lower) = small.split_at_mut(plane_len / 2);
                    for (dy, half) in [upper, lower].into_iter().enumerate() {
                        let (first, second) = half.split_at_mut(plane_len / 4);
                        let rows = first.chunks_exact_mut(width).zip(second.chunks_exact_mut(width));
                        for ((first, second), source) in rows.zip(grad.chunks_exact(2 * width).skip(dy).step_by(2)) {
                            run(Level::best(), Separate { source, first, second });
                        }
                    }
                    return;
                }
                for (at, from) in self.tiles(0) {
                    let sources = grad[from..].iter().step_by(self.k);
                    let pairs = small[at..at + self.point.width].iter_mut().zip(sources);
                    pairs.for_each(|(target, &value)| {
                        target.write(value);
                    });
                }
            });
        };
        // SAFETY: as in `lay_out`, the other way: every pixel of a plane goes to one small pixel of the same plane.
        unsafe { initialised(grad.len(), write) }
    }

    /// The gradients of x, kernel and bias that are `wanted`, from the gradient of the output.
    pub(super) fn backward<T: Element, A: Arithmetic<T>>(
        &self,
        (x, kernel): (&[T], &[T]),
        grad: impl AsRef<[T]>,
        wanted: [bool; 3],
    ) -> Result<[Option<Vec<T>>; 3]> {
        let (point, settings) = (&self.point, Conv2d::default());
        let small = self.split(grad.as_ref());
        // Where it is given away, its memory is free from here on.
        drop(grad);
        // The 1x1 convolution's own layout of the gradient, where that is not NCHW.
        let map = if strategy::reorders(T::DTYPE, point, &settings) {
            Cow::Owned(strategy::map_gradient(point, &settings, None, &small)?)
        } else {
            Cow::Borrowed(&small[..])
        };
        let [of_x, of_kernel, of_bias] = wanted;
        let of_x = of_x.then(|| strategy::input_gradient::<T, A>(point, &self.turn(kernel, true), &map));
        let of_kernel = if of_kernel {
            let rows = 0..point.out_channels;
            let rows = strategy::kernel_gradient::<T, A>(point, None, &self.input(x), &map, rows)?;
            Some(self.turn(&rows, false))
        } else {
            None
        };
        let of_bias = of_bias.then(|| {
            let plane = point.out_pixels() * self.k * self.k;
            let of_output = |output: usize| {
                let planes = small.chunks_exact(plane).skip(output).step_by(self.outputs);
                planes.map(sum).fold(T::zero(), |total, value| total + value)
            };
            (0..self.outputs).into_par_iter().map(of_output).collect()
        });
        Ok([of_x, of_kernel, of_bias])
    }
}

struct Transpose(Precision);

impl Transpose {
    const NAME: &'static str = "conv-transpose2d";
}

impl CustomOp3 for Transpose {
    fn name(&self) -> &'static str {
        Self::NAME
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
        let output = dispatch_precision!(Self::NAME, x, self.0, (T, A) => {
            let x = elements::<T>(Self::NAME, x, xl)?;
            let kernel = elements::<T>(Self::NAME, kernel, kl)?;
            T::to_cpu_storage_owned(sizes.forward::<T, A>(x, kernel, elements::<T>(Self::NAME, bias, bl)?))
        });
        Ok((output, sizes.output_shape().into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        kernel: &CudaStorage,
        kl: &Layout,
        bias: &CudaStorage,
        bl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let sizes = Sizes::new(xl.dims(), kl.dims())?;
        let (name, device) = (Self::NAME, &x.device);
        cuda::dispatch!(name, x, T => {
            let operands = (&cuda::view::<T>(name, x, xl)?, &cuda::view(name, kernel, kl)?);
            let y = cuda::raise(device, &sizes.on_cuda(self.0), operands, &cuda::view(name, bias, bl)?)?;
            Ok(cuda::result(y, device, sizes.output_shape()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        kernel: &Tensor,
        bias: &Tensor,
        _output: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (sizes, grad) = (Sizes::new(x.dims(), kernel.dims())?, grad.contiguous()?);
        let name = Self::NAME;
        #[cfg(feature = "cuda")]
        if grad.device().is_cuda() {
            return self.backward_on_cuda(&sizes, [x, kernel, bias], &grad);
        }
        let (xs, kernels, grads) = (on_cpu(name, x), on_cpu(name, kernel), on_cpu(name, &grad));
        dispatch_precision!(Self::NAME, grads.storage()?, self.0, (T, A) => {
            let operands = (xs.elements::<T>()?, kernels.elements::<T>()?);
            let tracked = [x.track_op(), kernel.track_op(), bias.track_op()];
            let [of_x, of_kernel, of_bias] = sizes.backward::<T, A>(operands, grads.elements::<T>()?, tracked)?;
            let tensor = |values: Option<Vec<T>>, like: &Tensor| {
                values.map(|values| Tensor::from_vec(values, like.shape(), &Device::Cpu)).transpose()
            };
            Ok((tensor(of_x, x)?, tensor(of_kernel, kernel)?, tensor(of_bias, bias)?))
        })
    }
}

#[cfg(feature = "cuda")]
impl Sizes {
    fn on_cuda(&self, precision: Precision) -> cuda::Raise {
        let Geometry { batch, in_channels, height, width, .. } = self.point;
        cuda::Raise { batch, channels: in_channels, height, width, outputs: self.outputs, k: self.k, precision }
    }
}

#[cfg(feature = "cuda")]
impl Transpose {
    fn backward_on_cuda(
        &self,
        sizes: &Sizes,
        operands: [&Tensor; 3],
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let guards = [operands[0], operands[1], grad].map(|tensor| cuda::guard(Self::NAME, tensor));
        let [xs, kernels, grads] = &guards;
        let storage = grads.storage()?;
        cuda::dispatch!(Self::NAME, storage, T => {
            let read = (&xs.view::<T>()?, &kernels.view::<T>()?);
            let (sizes, wanted) = (sizes.on_cuda(self.0), operands.map(Tensor::track_op));
            let gradients = cuda::raise_backward(&storage.device, &sizes, read, &grads.view::<T>()?, wanted)?;
            let [of_x, of_kernel, of_bias] = gradients;
            let tensor = |gradient: Option<_>, like: &Tensor| {
                gradient.map(|gradient| cuda::tensor(gradient, &storage.device, like.shape()))
            };
            let [x, kernel, bias] = operands;
            Ok((tensor(of_x, x), tensor(of_kernel, kernel), tensor(of_bias, bias)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::{Bf16, Exact};

    /// Values without a pattern, between -1 and 1.
    fn values(count: usize, seed: u32) -> Vec<f32> {
        let of = |at: u32| ((at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) % 2001) as f32 / 1000.0 - 1.0;
        (0..count as u32).map(of).collect()
    }

    #[test]
    fn parts_are_the_whole_to_the_bit() {
        for (batch, channels, outputs, k, height, width) in
            [(1, 5, 7, 2, 6, 20), (3, 4, 3, 2, 3, 9), (2, 3, 5, 3, 4, 6)]
        {
            let sizes = Sizes::new(&[batch, channels, height, width], &[channels, outputs, k, k]).unwrap();
            let x = values(batch * channels * height * width, 1);
            let (kernel, bias) = (values(sizes.kernel_len(), 2), values(outputs, 3));
            let plane = height * width * k * k;
            let bits = |most: usize| -> [Vec<u32>; 2] {
                let exact = sizes.forward_by::<f32, Exact>(most, &x, &kernel, &bias);
                let rounded = sizes.forward_by::<f32, Bf16>(most, &x, &kernel, &bias);
                [exact, rounded].map(|values| values.into_iter().map(f32::to_bits).collect())
            };
            let whole = bits(usize::MAX);
            for most in [1, plane, 2 * plane + 1, 4 * plane, outputs * plane] {
                assert!(bits(most) == whole, "{batch} {channels} {outputs} {k}: {most}");
            }
        }
    }
}
