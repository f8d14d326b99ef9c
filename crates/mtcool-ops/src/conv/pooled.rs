//! Max-pooling behind a convolution: the full-size map stays inside the operation.

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, WithDType, bail};
use rayon::prelude::*;

use super::geometry::Geometry;
use crate::activation::Activation;
use crate::element::{Element, dispatch, elements};
use crate::pool::{MaxPool2d, PLANES_A_JOB};

/// The activated map before pooling, kept for the backward pass if there will be one.
pub(super) type Kept = Arc<OnceLock<CpuStorage>>;

/// Pools the planes of `map` `[B, O, oh, ow]`.
pub(super) fn pool<T: Element>(pool: MaxPool2d, g: &Geometry, map: &[T]) -> Vec<T> {
    let (out_h, out_w) = (pool.output_side(g.out_h), pool.output_side(g.out_w));
    let mut output = vec![T::zero(); g.batch * g.out_channels * out_h * out_w];
    let planes = output.par_chunks_mut(out_h * out_w).zip(map.par_chunks(g.out_pixels()));
    planes.with_min_len(PLANES_A_JOB).for_each(|(output, plane)| pool.forward(plane, g.out_w, output, out_w));
    output
}

/// From the gradient of the pooled output to that of the linear output, pooling and activation in one pass.
pub(super) struct PooledGradient {
    pub(super) pool: MaxPool2d,
    pub(super) geometry: Geometry,
    pub(super) activation: Activation,
    pub(super) kept: Kept,
}

impl CustomOp1 for PooledGradient {
    fn name(&self) -> &'static str {
        "pooled-conv2d-gradient"
    }

    fn cpu_fwd(&self, grad: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let g = &self.geometry;
        let Some(kept) = self.kept.get() else {
            bail!("{}: the forward pass kept nothing, since no operand was tracked", self.name());
        };
        let out_w = self.pool.output_side(g.out_w);
        let result = dispatch!(self.name(), grad, T => {
            let grad = elements::<T>(self.name(), grad, layout)?;
            let map = kept.as_slice::<T>()?;
            let zero = T::from_f64(0.0);
            let mut result = vec![zero; map.len()];
            let planes = map.par_chunks(g.out_pixels()).zip(grad.par_chunks(grad.len() / (g.batch * g.out_channels).max(1)));
            let planes = result.par_chunks_mut(g.out_pixels()).zip(planes).with_min_len(PLANES_A_JOB);
            planes.for_each(|(result, (plane, grad))| {
                self.pool.backward(plane, g.out_w, grad, out_w, result);
                if self.activation == Activation::Relu {
                    for (gradient, &value) in result.iter_mut().zip(plane) {
                        *gradient = if value <= zero { zero } else { *gradient };
                    }
                }
            });
            T::to_cpu_storage_owned(result)
        });
        Ok((result, g.output_shape().into()))
    }
}
