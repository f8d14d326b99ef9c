//! Bilinear upsampling, with a gradient (candle's has none).

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::{Element, on_elements};
use crate::recording::apply1;

/// `x` `[B, C, H, W]` enlarged `scale` times in both directions, `[B, C, scale H, scale W]`. The centre of a pixel is
/// half a pixel away from its border (PyTorch's `align_corners=False`).
///
/// # Errors
/// If `x` is not a 4-d f32 or f64 tensor, is empty, or `scale` is 0.
pub fn upsample_bilinear2d(x: &Tensor, scale: usize) -> Result<Tensor> {
    x.dims4()?;
    if scale == 0 || x.elem_count() == 0 {
        bail!(
            "upsample_bilinear2d: expected a scale of at least 1 and no empty tensor, got {scale} and {:?}",
            x.dims()
        );
    }
    apply1(x, Upsample { scale, is_transposed: false })
}

/// The linear map, or its transpose, which computes the map's gradient.
struct Upsample {
    scale: usize,
    is_transposed: bool,
}

/// For each coordinate of the enlarged map: the two coordinates of the small map that it lies between, and its distance
/// from the first as a fraction of theirs.
fn weights<T: Element>(small: usize, scale: usize) -> Vec<(usize, usize, T)> {
    let of = |at: usize| {
        let source = ((at as f64 + 0.5) / scale as f64 - 0.5).max(0.0);
        let first = source as usize;
        (first, (first + 1).min(small - 1), T::from_f64(source - first as f64))
    };
    (0..small * scale).map(of).collect()
}

impl CustomOp1 for Upsample {
    fn name(&self) -> &'static str {
        "upsample-bilinear2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, height, width) = layout.shape().dims4()?;
        let scale = self.scale;
        let (small_h, small_w) = if self.is_transposed { (height / scale, width / scale) } else { (height, width) };
        let (large_h, large_w) = (small_h * scale, small_w * scale);
        let (out_h, out_w) = if self.is_transposed { (small_h, small_w) } else { (large_h, large_w) };
        let output = on_elements!(self.name(), T, x: layout => {
            let (rows, columns) = (weights::<T>(small_h, scale), weights::<T>(small_w, scale));
            let one = T::from_f64(1.0);
            let mut output = vec![T::from_f64(0.0); batch * channels * out_h * out_w];
            output.par_chunks_mut(out_h * out_w).zip(x.par_chunks(height * width)).for_each(|(output, plane)| {
                for (y, &(top, bottom, down)) in rows.iter().enumerate() {
                    for (z, &(left, right, along)) in columns.iter().enumerate() {
                        let corners = [
                            (top * small_w + left, (one - down) * (one - along)),
                            (top * small_w + right, (one - down) * along),
                            (bottom * small_w + left, down * (one - along)),
                            (bottom * small_w + right, down * along),
                        ];
                        let large = y * large_w + z;
                        for (small, weight) in corners {
                            if self.is_transposed {
                                output[small] += weight * plane[large];
                            } else {
                                output[large] += weight * plane[small];
                            }
                        }
                    }
                }
            });
            output
        });
        Ok((output, (batch, channels, out_h, out_w).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (batch, channels, height, width) = layout.shape().dims4()?;
        let scale = self.scale;
        let (small, shape) = if self.is_transposed {
            ((height / scale, width / scale), (batch, channels, height / scale, width / scale))
        } else {
            ((height, width), (batch, channels, height * scale, width * scale))
        };
        cuda::dispatch!(self.name(), x, T => {
            let planes = (batch * channels, small.0, small.1);
            let maps = cuda::view::<T>(self.name(), x, layout)?;
            let output = cuda::upsample(&x.device, &maps, planes, scale, self.is_transposed)?;
            Ok(cuda::result(output, &x.device, shape))
        })
    }

    fn bwd(&self, _x: &Tensor, _output: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let transposed = Upsample { scale: self.scale, is_transposed: true };
        grad.contiguous()?.apply_op1_no_bwd(&transposed).map(Some)
    }
}
