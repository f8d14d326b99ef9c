//! Max-pooling with the right gradient (candle's own is four times too small for 2x2 windows).

use std::mem::MaybeUninit;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, WithDType};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::{Element, on_elements};
use crate::jobs::PLANES_A_JOB;
use crate::memory::{fill, initialised};
use crate::recording::apply1;
use crate::settings::MaxPool2d;
use crate::simd::{Kernel, Level, Vector, run};

impl MaxPool2d {
    /// Pools one plane: writes every element of `output`, whose rows have `out_w` pixels.
    ///
    /// # Panics
    /// If `output` has another size than the windows in `plane`.
    pub(crate) fn forward<T: Element>(self, plane: &[T], width: usize, output: &mut [MaybeUninit<T>], out_w: usize) {
        let out_h = self.output_side(plane.len() / width);
        assert!(
            out_w == self.output_side(width) && output.len() == out_h * out_w,
            "max-pool: an output of another size"
        );
        if self == Self::tiling(2) {
            return run(Level::best(), Halve { plane, width, output, out_w });
        }
        for (index, value) in output.iter_mut().enumerate() {
            value.write(plane[self.argmax(plane, width, index / out_w, index % out_w)]);
        }
    }

    /// Gives each window's gradient to its first maximum.
    pub(crate) fn backward<T: Element>(self, plane: &[T], width: usize, grad: &[T], out_w: usize, result: &mut [T]) {
        if self == Self::tiling(2) {
            return run(Level::best(), Spread { plane, width, grad, out_w, result });
        }
        for (index, &value) in grad.iter().enumerate() {
            result[self.argmax(plane, width, index / out_w, index % out_w)] += value;
        }
    }

    /// Index of the first maximum (or the last NaN) of the window at output pixel `(oy, ox)`.
    fn argmax<T: Element>(self, plane: &[T], width: usize, oy: usize, ox: usize) -> usize {
        let mut best = oy * self.stride * width + ox * self.stride;
        for ky in 0..self.kernel {
            let row = (oy * self.stride + ky) * width + ox * self.stride;
            for index in row..row + self.kernel {
                if wins(plane[index], plane[best]) {
                    best = index;
                }
            }
        }
        best
    }
}

/// Max-pool 2x2 of one plane. Plain loops: inside [`run`] the compiler uses the level's vectors for them.
struct Halve<'a, T> {
    plane: &'a [T],
    width: usize,
    output: &'a mut [MaybeUninit<T>],
    out_w: usize,
}

impl<T: Element> Kernel<T> for Halve<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        let rows = self.plane.chunks_exact(2 * self.width);
        for (output, rows) in self.output.chunks_exact_mut(self.out_w).zip(rows) {
            let (upper, lower) = rows.split_at(self.width);
            let windows = upper.chunks_exact(2).zip(lower.chunks_exact(2));
            for (output, (upper, lower)) in output.iter_mut().zip(windows) {
                output.write(larger(larger(upper[0], upper[1]), larger(lower[0], lower[1])));
            }
        }
    }
}

/// Gives each 2x2 window's gradient to its first maximum.
struct Spread<'a, T> {
    plane: &'a [T],
    width: usize,
    grad: &'a [T],
    out_w: usize,
    result: &'a mut [T],
}

impl<T: Element> Kernel<T> for Spread<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        let width = self.width;
        let rows = self.result.chunks_exact_mut(2 * width).zip(self.plane.chunks_exact(2 * width));
        for ((result, rows), grad) in rows.zip(self.grad.chunks_exact(self.out_w)) {
            let ((upper, lower), (upper_result, lower_result)) = (rows.split_at(width), result.split_at_mut(width));
            let windows = upper.chunks_exact(2).zip(lower.chunks_exact(2));
            let results = upper_result.chunks_exact_mut(2).zip(lower_result.chunks_exact_mut(2));
            for ((&grad, (upper, lower)), (upper_result, lower_result)) in grad.iter().zip(windows).zip(results) {
                // Selections rather than branches: the processor cannot predict which pixel is the largest.
                let take = |at: bool| if at { grad } else { T::zero() };
                let (above, below) = (larger(upper[0], upper[1]), larger(lower[0], lower[1]));
                let is_below = wins(below, above);
                let (is_second, is_fourth) = (wins(upper[1], upper[0]), wins(lower[1], lower[0]));
                upper_result[0] = take(!is_below & !is_second);
                upper_result[1] = take(!is_below & is_second);
                lower_result[0] = take(is_below & !is_fourth);
                lower_result[1] = take(is_below & is_fourth);
            }
        }
    }
}

/// Whether `later` replaces `earlier` as the maximum; NaN always does.
#[inline(always)]
fn wins<T: Element>(later: T, earlier: T) -> bool {
    (later > earlier) | later.is_nan()
}

#[inline(always)]
fn larger<T: Element>(earlier: T, later: T) -> T {
    if wins(later, earlier) { later } else { earlier }
}

/// Max-pool of `x` `[B, C, H, W]` to `[B, C, (H-k)/s+1, (W-k)/s+1]`; incomplete windows at the border are dropped. The
/// gradient of a window goes to its first maximum.
///
/// # Errors
/// If `x` is not a 4-d f32 or f64 tensor, the kernel or stride is 0, or the kernel is larger than the plane.
pub fn max_pool2d(x: &Tensor, pool: MaxPool2d) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    pool.check(height, width)?;
    apply1(x, pool)
}

impl CustomOp1 for MaxPool2d {
    fn name(&self) -> &'static str {
        "max-pool2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, height, width) = layout.shape().dims4()?;
        let (out_h, out_w) = (self.output_side(height), self.output_side(width));
        let output = on_elements!(self.name(), T, x: layout => {
            let write = |output: &mut [MaybeUninit<T>]| {
                let planes = output.par_chunks_mut(out_h * out_w).zip(x.par_chunks(height * width));
                planes.with_min_len(PLANES_A_JOB).for_each(|(output, plane)| self.forward(plane, width, output, out_w));
            };
            // SAFETY: there are as many planes to read as to write, and `MaxPool2d::forward` writes each plane whole.
            unsafe { initialised(batch * channels * out_h * out_w, write) }
        });
        Ok((output, (batch, channels, out_h, out_w).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (batch, channels, height, width) = layout.shape().dims4()?;
        cuda::dispatch!(self.name(), x, T => {
            let planes = cuda::view::<T>(self.name(), x, layout)?;
            let output = cuda::max_pool(&x.device, *self, &planes, (batch * channels, height, width))?;
            let shape = (batch, channels, self.output_side(height), self.output_side(width));
            Ok(cuda::result(output, &x.device, shape))
        })
    }

    fn bwd(&self, x: &Tensor, _output: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        x.apply_op2_no_bwd(&grad.contiguous()?, &MaxPool2dBackward(*self)).map(Some)
    }
}

struct MaxPool2dBackward(MaxPool2d);

impl CustomOp2 for MaxPool2dBackward {
    fn name(&self) -> &'static str {
        "max-pool2d-backward"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, _, height, width) = x_layout.shape().dims4()?;
        let (_, _, out_h, out_w) = grad_layout.shape().dims4()?;
        let result = on_elements!(self.name(), T, x: x_layout, grad: grad_layout => {
            let write = |result: &mut [MaybeUninit<T>]| {
                let planes = x.par_chunks(height * width).zip(grad.par_chunks(out_h * out_w));
                let planes = result.par_chunks_mut(height * width).zip(planes).with_min_len(PLANES_A_JOB);
                planes.for_each(|(result, (plane, grad))| {
                    self.0.backward(plane, width, grad, out_w, fill(result, T::from_f64(0.0)));
                });
            };
            // SAFETY: the planes of x are those of the result, there is a gradient for each, and each is filled with
            // zeros first.
            unsafe { initialised(x.len(), write) }
        });
        Ok((result, x_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        grad: &CudaStorage,
        grad_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (_, _, height, width) = x_layout.shape().dims4()?;
        let (name, device) = (self.name(), &x.device);
        cuda::dispatch!(name, x, T => {
            let maps = (&cuda::view::<T>(name, x, x_layout)?, &cuda::view(name, grad, grad_layout)?);
            let result = cuda::max_pool_backward(device, self.0, maps, (height, width))?;
            Ok(cuda::result(result, device, x_layout.shape()))
        })
    }
}
