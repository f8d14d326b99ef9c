//! Small operations on the channels of maps: joining the channels of two maps, and the mean of each channel.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, WithDType, bail};

#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::{on_elements, sum};
use crate::recording::{apply1, apply2};

/// `a` `[B, C, H, W]` and `b` `[B, D, H, W]` joined along the channels: `[B, C + D, H, W]`.
///
/// # Errors
/// If they differ in more than their channels.
pub fn join_channels(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let ((batch, _, height, width), of_b) = (a.dims4()?, b.dims4()?);
    if (of_b.0, of_b.2, of_b.3) != (batch, height, width) || a.dtype() != b.dtype() {
        bail!("join_channels: {:?} and {:?} differ in more than their channels", a.shape(), b.shape());
    }
    apply2(a, b, Join)
}

struct Join;

impl CustomOp2 for Join {
    fn name(&self) -> &'static str {
        "join-channels"
    }

    fn cpu_fwd(&self, a: &CpuStorage, al: &Layout, b: &CpuStorage, bl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, height, width) = al.shape().dims4()?;
        let joined = on_elements!(self.name(), T, a: al, b: bl => {
            let mut joined = Vec::with_capacity(a.len() + b.len());
            for sample in 0..batch {
                let of_sample = |map: &[T]| sample * map.len() / batch..(sample + 1) * map.len() / batch;
                joined.extend_from_slice(&a[of_sample(a)]);
                joined.extend_from_slice(&b[of_sample(b)]);
            }
            joined
        });
        Ok((joined, (batch, channels + bl.dims()[1], height, width).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, a: &CudaStorage, al: &Layout, b: &CudaStorage, bl: &Layout) -> Result<(CudaStorage, Shape)> {
        let (batch, channels, height, width) = al.shape().dims4()?;
        let (name, device) = (self.name(), &a.device);
        cuda::dispatch!(name, a, T => {
            let joined = cuda::join::<T>(device, &cuda::view(name, a, al)?, &cuda::view(name, b, bl)?, batch)?;
            Ok(cuda::result(joined, device, (batch, channels + bl.dims()[1], height, width)))
        })
    }

    fn bwd(&self, a: &Tensor, b: &Tensor, _joined: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if grad.device().is_cuda() {
            return parts_on_cuda(a, b, grad);
        }
        let part = |of: &Tensor, first: usize| {
            if of.track_op() { grad.narrow(1, first, of.dims()[1])?.contiguous().map(Some) } else { Ok(None) }
        };
        Ok((part(a, 0)?, part(b, a.dims()[1])?))
    }
}

#[cfg(feature = "cuda")]
fn parts_on_cuda(a: &Tensor, b: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let grad = grad.contiguous()?;
    let guard = cuda::guard("join-channels", &grad);
    let (storage, batch) = (guard.storage()?, a.dims()[0].max(1));
    cuda::dispatch!("join-channels", storage, T => {
        let part = |of: &Tensor, first: usize| -> Result<Option<Tensor>> {
            if !of.track_op() {
                return Ok(None);
            }
            let place = (first, of.elem_count() / batch);
            let part = cuda::part(&storage.device, &guard.view::<T>()?, batch, place)?;
            Ok(Some(cuda::tensor(part, &storage.device, of.shape())))
        };
        Ok((part(a, 0)?, part(b, a.elem_count() / batch)?))
    })
}

/// The mean of each channel of `x` `[B, C, H, W]`, `[B, C]`.
///
/// # Errors
/// If `x` has not four dimensions, or no pixels.
pub fn mean_pixels(x: &Tensor) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    if height * width == 0 {
        bail!("mean_pixels: {:?} has no pixels", x.shape());
    }
    apply1(x, Mean)
}

struct Mean;

impl CustomOp1 for Mean {
    fn name(&self) -> &'static str {
        "mean-pixels"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, height, width) = layout.shape().dims4()?;
        let means = on_elements!(self.name(), T, x: layout => {
            x.chunks_exact(height * width).map(|plane| sum(plane) / T::from_f64(plane.len() as f64)).collect()
        });
        Ok((means, (batch, channels).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (batch, channels, height, width) = layout.shape().dims4()?;
        let (planes, pixels) = (batch * channels, height * width);
        cuda::dispatch!(self.name(), x, T => {
            let planes = cuda::view::<T>(self.name(), x, layout).map(|x| (x, (1, planes, pixels)))?;
            let means = cuda::channel_sums(&x.device, &planes.0, planes.1, 1.0 / pixels as f64)?;
            Ok(cuda::result(means, &x.device, (batch, channels)))
        })
    }

    fn bwd(&self, x: &Tensor, _means: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (batch, channels, height, width) = x.dims4()?;
        let share = (grad / (height * width) as f64)?.reshape((batch, channels, 1, 1))?;
        share.broadcast_as(x.shape())?.contiguous().map(Some)
    }
}
