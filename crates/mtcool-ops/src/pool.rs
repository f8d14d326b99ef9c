//! Max-pooling with the right gradient (candle's own is four times too small for 2x2 windows).

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

use crate::element::{Element, dispatch, elements};

/// Window and stride of a max-pool, both in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool2d {
    /// Side of the square window.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
}

impl MaxPool2d {
    /// Windows that tile the plane: stride equals kernel.
    pub fn tiling(kernel: usize) -> Self {
        Self { kernel, stride: kernel }
    }

    fn output_side(self, side: usize) -> usize {
        (side - self.kernel) / self.stride + 1
    }

    /// Index of the first maximum (or the last NaN) of the window at output pixel `(oy, ox)`.
    fn argmax<T: Element>(self, plane: &[T], width: usize, oy: usize, ox: usize) -> usize {
        let mut best = oy * self.stride * width + ox * self.stride;
        for ky in 0..self.kernel {
            let row = (oy * self.stride + ky) * width + ox * self.stride;
            for index in row..row + self.kernel {
                if plane[index] > plane[best] || plane[index].is_nan() {
                    best = index;
                }
            }
        }
        best
    }
}

/// Max-pool of `x` `[B, C, H, W]` to `[B, C, (H-k)/s+1, (W-k)/s+1]`; incomplete windows at the border are dropped. The
/// gradient of a window goes to its first maximum.
///
/// # Errors
/// If `x` is not a 4-d f32 or f64 tensor, the kernel or stride is 0, or the kernel is larger than the plane.
pub fn max_pool2d(x: &Tensor, pool: MaxPool2d) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    if pool.kernel == 0 || pool.stride == 0 || pool.kernel > height.min(width) {
        bail!(
            "max_pool2d: kernel {} and stride {} do not fit a {height}x{width} plane (both at least 1)",
            pool.kernel,
            pool.stride
        );
    }
    x.contiguous()?.apply_op1(pool)
}

impl CustomOp1 for MaxPool2d {
    fn name(&self) -> &'static str {
        "max-pool2d"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, height, width) = layout.shape().dims4()?;
        let (out_h, out_w) = (self.output_side(height), self.output_side(width));
        let output = dispatch!(self.name(), storage, T => {
            let x = elements::<T>(self.name(), storage, layout)?;
            let mut output = vec![T::from_f64(0.0); batch * channels * out_h * out_w];
            output
                .par_chunks_mut(out_h * out_w)
                .zip(x.par_chunks(height * width))
                .for_each(|(output, plane)| {
                    for (index, value) in output.iter_mut().enumerate() {
                        *value = plane[self.argmax(plane, width, index / out_w, index % out_w)];
                    }
                });
            T::to_cpu_storage_owned(output)
        });
        Ok((output, (batch, channels, out_h, out_w).into()))
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
        let result = dispatch!(self.name(), x, T => {
            let x = elements::<T>(self.name(), x, x_layout)?;
            let grad = elements::<T>(self.name(), grad, grad_layout)?;
            let mut result = vec![T::from_f64(0.0); x.len()];
            result
                .par_chunks_mut(height * width)
                .zip(x.par_chunks(height * width).zip(grad.par_chunks(out_h * out_w)))
                .for_each(|(result, (plane, grad))| {
                    for (index, &value) in grad.iter().enumerate() {
                        result[self.0.argmax(plane, width, index / out_w, index % out_w)] += value;
                    }
                });
            T::to_cpu_storage_owned(result)
        });
        Ok((result, x_layout.shape().clone()))
    }
}
