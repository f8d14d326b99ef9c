//! The choice of the kernels for a convolution, and what its forward pass keeps for the backward pass.
//!
//! | strategy | when | data |
//! |---|---|---|
//! | lanes | stride 1, a batch that fills vectors better than rows do | `[blocks, C, H, W, L]` |
//! | direct | stride 1 | NCHW |
//! | patches | the rest | NCHW |

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, DType, Result, bail};
use rayon::prelude::*;

use super::input::Input;
use super::lanes::Lanes;
use super::{channel_gradient, direct, direct_gradient, patches};
use crate::arithmetic::{Arithmetic, rounded};
use crate::element::Element;
use crate::geometry::Geometry;
use crate::jobs::PLANES_A_JOB;
use crate::memory::initialised;
use crate::settings::{Activation, Conv2d, MaxPool2d};
use crate::simd::Level;

/// What the forward pass keeps for the backward pass, if there will be one.
#[derive(Default)]
pub(super) struct Memory {
    /// The input, if the strategy is lanes.
    input: Option<CpuStorage>,
    /// The activated map before the pooling, if there is pooling; in the strategy's layout.
    map: Option<CpuStorage>,
    /// The output, if there is pooling and the strategy is lanes.
    pooled: Option<CpuStorage>,
}

/// A place for a [`Memory`], shared by an operation and its gradients.
pub(super) type Kept = Arc<OnceLock<Memory>>;

/// The lanes, if that is the strategy for `g`.
fn lanes<T: Element>(g: &Geometry) -> Option<Lanes> {
    let level = Level::best();
    (direct::applies(g) && Lanes::pays::<T>(level, g)).then(|| Lanes::new::<T>(level))
}

/// `pool(activation(x * kernel + bias))`, NCHW.
pub(super) fn forward<T: Element, A: Arithmetic<T>>(
    g: &Geometry,
    settings: &Conv2d,
    x: &Input<'_, T>,
    kernel: &[T],
    bias: Option<&[T]>,
    kept: Option<&Kept>,
) -> Vec<T> {
    let (level, activation) = (Level::best(), settings.activation);
    let keep = |memory: Memory| {
        if let Some(kept) = kept {
            // A forward pass runs once, so the place is free.
            let _ = kept.set(memory);
        }
    };
    let store = |data: Vec<T>| Some(T::to_cpu_storage_owned(data));
    if let Some(lanes) = lanes::<T>(g) {
        let input = lanes.gather_batch(&rounded::<T, A>(x.dense()), g.input_len());
        let map = lanes.forward(level, g, &input, &rounded::<T, A>(kernel.into()), bias, activation);
        let Some(pool) = settings.pool else {
            keep(Memory { input: store(input), ..Memory::default() });
            return lanes.scatter_batch(&map, g.out_channels * g.out_pixels(), g.batch);
        };
        let pooled = lanes.pool(level, pool, g, &map);
        let output = lanes.scatter_batch(&pooled, g.out_channels * pooled_pixels(pool, g), g.batch);
        keep(Memory { input: store(input), map: store(map), pooled: store(pooled) });
        return output;
    }
    let map = if direct::applies(g) {
        direct::forward::<T, A>(level, g, x, kernel, bias, activation)
    } else {
        let (x, kernel) = (rounded::<T, A>(x.dense()), rounded::<T, A>(kernel.into()));
        patches::forward(g, &x, &kernel, bias, activation)
    };
    let Some(pool) = settings.pool else { return map };
    let out_w = pool.output_side(g.out_w);
    let write = |output: &mut [MaybeUninit<T>]| {
        let planes = output.par_chunks_mut(pooled_pixels(pool, g)).zip(map.par_chunks(g.out_pixels()));
        planes.with_min_len(PLANES_A_JOB).for_each(|(output, plane)| pool.forward(plane, g.out_w, output, out_w));
    };
    // SAFETY: the map has as many planes as the output, and `MaxPool2d::forward` writes each plane whole.
    let output = unsafe { initialised(g.batch * g.out_channels * pooled_pixels(pool, g), write) };
    keep(Memory { map: store(map), ..Memory::default() });
    output
}

fn pooled_pixels(pool: MaxPool2d, g: &Geometry) -> usize {
    pool.output_side(g.out_h) * pool.output_side(g.out_w)
}

/// Whether the gradient of the linear map differs from that of the output in more than the activation.
pub(super) fn reorders(dtype: DType, g: &Geometry, settings: &Conv2d) -> bool {
    let has_lanes = match dtype {
        DType::F64 => lanes::<f64>(g).is_some(),
        _ => lanes::<f32>(g).is_some(),
    };
    has_lanes || settings.pool.is_some()
}

/// From the gradient of the operation's output (after pooling if there is any; else before the activation) to the
/// gradient of the linear map in the strategy's layout.
pub(super) fn map_gradient<T: Element>(
    g: &Geometry,
    settings: &Conv2d,
    kept: Option<&Kept>,
    grad: &[T],
) -> Result<Vec<T>> {
    let kept = kept.and_then(|kept| kept.get());
    let part = |pick: fn(&Memory) -> Option<&CpuStorage>| match kept.and_then(pick) {
        Some(storage) => storage.as_slice::<T>(),
        None => bail!("conv2d: the forward pass kept nothing, since no operand was tracked"),
    };
    match (lanes::<T>(g), settings.pool) {
        (Some(lanes), None) => Ok(lanes.gather_batch(grad, g.out_channels * g.out_pixels())),
        (Some(lanes), Some(pool)) => {
            let grad = lanes.gather_batch(grad, g.out_channels * pooled_pixels(pool, g));
            let (map, pooled) = (part(|memory| memory.map.as_ref())?, part(|memory| memory.pooled.as_ref())?);
            Ok(lanes.unpool(Level::best(), pool, g, settings.activation, map, pooled, &grad))
        }
        (None, None) => bail!("conv2d: this gradient is in its strategy's layout already"),
        (None, Some(pool)) => {
            let map = part(|memory| memory.map.as_ref())?;
            let out_w = pool.output_side(g.out_w);
            let mut result = vec![T::zero(); map.len()];
            let planes = map.par_chunks(g.out_pixels()).zip(grad.par_chunks(pooled_pixels(pool, g)));
            let planes = result.par_chunks_mut(g.out_pixels()).zip(planes).with_min_len(PLANES_A_JOB);
            planes.for_each(|(result, (plane, grad))| {
                pool.backward(plane, g.out_w, grad, out_w, result);
                if settings.activation == Activation::Relu {
                    for (gradient, &value) in result.iter_mut().zip(plane) {
                        *gradient = if value <= T::zero() { T::zero() } else { *gradient };
                    }
                }
            });
            Ok(result)
        }
    }
}

/// Gradient of the input, `[B, C, H, W]`, from that of the linear map in the strategy's layout.
pub(super) fn input_gradient<T: Element, A: Arithmetic<T>>(g: &Geometry, kernel: &[T], grad: &[T]) -> Vec<T> {
    input_gradients::<T, A>(g, kernel, grad, std::slice::from_ref(&(0..g.in_channels))).swap_remove(0)
}

/// Gradient of the input from that of the linear map in the strategy's layout: `[B, C_i, H, W]` for each of `parts` of the
/// channels.
pub(super) fn input_gradients<T: Element, A: Arithmetic<T>>(
    g: &Geometry,
    kernel: &[T],
    grad: &[T],
    parts: &[Range<usize>],
) -> Vec<Vec<T>> {
    let level = Level::best();
    let lanes = lanes::<T>(g);
    if lanes.is_none()
        && direct::applies(g)
        && let Some(parts) = direct::input_gradient::<T, A>(level, g, kernel, grad, parts)
    {
        return parts;
    }
    let (kernel, grad) = (rounded::<T, A>(kernel.into()), rounded::<T, A>(grad.into()));
    let whole = match lanes {
        Some(lanes) => lanes.scatter_batch(&lanes.input_gradient(level, g, &kernel, &grad), g.input_len(), g.batch),
        None => patches::input_gradient(g, &kernel, &grad),
    };
    if let [part] = parts
        && *part == (0..g.in_channels)
    {
        return vec![whole];
    }
    let pixels = g.height * g.width;
    let of_part = |part: &Range<usize>| {
        let samples = whole.chunks_exact(g.input_len());
        samples.flat_map(|sample| sample[part.start * pixels..part.end * pixels].iter().copied()).collect()
    };
    parts.iter().map(of_part).collect()
}

/// Gradient of the kernel, zero outside `rows`, from that of the linear map in the strategy's layout.
pub(super) fn kernel_gradient<T: Element, A: Arithmetic<T>>(
    g: &Geometry,
    kept: Option<&Kept>,
    x: &Input<'_, T>,
    grad: &[T],
    rows: Range<usize>,
) -> Result<Vec<T>> {
    let level = Level::best();
    if let Some(lanes) = lanes::<T>(g) {
        let grad = rounded::<T, A>(grad.into());
        return match kept.and_then(|kept| kept.get()?.input.as_ref()) {
            Some(input) => Ok(lanes.kernel_gradient(level, g, input.as_slice::<T>()?, &grad, rows)),
            None => {
                let input = lanes.gather_batch(&rounded::<T, A>(x.dense()), g.input_len());
                Ok(lanes.kernel_gradient(level, g, &input, &grad, rows))
            }
        };
    }
    Ok(if !direct::applies(g) {
        let (x, grad) = (rounded::<T, A>(x.dense()), rounded::<T, A>(grad.into()));
        patches::kernel_gradient(g, &x, &grad, rows)
    } else if channel_gradient::pays::<T>(level, g, &rows) {
        channel_gradient::kernel_gradient::<T, A>(level, g, x, grad, rows)
    } else {
        direct_gradient::kernel_gradient::<T, A>(level, g, x, grad, rows)
    })
}

/// Gradient of the bias, zero outside `rows`, from that of the linear map in the strategy's layout.
pub(super) fn bias_gradient<T: Element>(g: &Geometry, grad: &[T], rows: Range<usize>) -> Vec<T> {
    match lanes::<T>(g) {
        Some(lanes) => lanes.bias_gradient(g, grad, rows),
        None => patches::bias_gradient(g, grad, rows),
    }
}
