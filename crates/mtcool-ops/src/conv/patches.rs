//! Convolution by matrix products: the patches of a few output rows are copied into a matrix and multiplied. No such
//! matrix outlives the call; the backward pass builds them again.

use std::ops::Range;

use rayon::prelude::*;

use crate::activation::relu_scalar;
use crate::element::{Element, sum};
use crate::geometry::Geometry;
use crate::matmul::{Matrix, matmul};
use crate::settings::Activation;

/// Elements of a patch matrix: half a mebibyte of f32, which stays in the second-level cache.
const PATCH_ELEMENTS: usize = 128 * 1024;
/// Number of partial sums of a kernel gradient. A constant, so that the order of additions never depends on the number of
/// threads.
const GRADIENT_PARTS: usize = 16;

/// `activation(x * kernel + bias)`, `[B, O, oh, ow]`; parallel over samples.
pub(super) fn forward<T: Element>(
    g: &Geometry,
    x: &[T],
    kernel: &[T],
    bias: Option<&[T]>,
    activation: Activation,
) -> Vec<T> {
    let pixels = g.out_pixels();
    let mut output = vec![T::zero(); g.batch * g.out_channels * pixels];
    if output.is_empty() {
        return output;
    }
    let samples = output.par_chunks_mut(g.out_channels * pixels).enumerate();
    samples.for_each_init(Vec::new, |patches, (sample, output)| {
        let x = &x[sample * g.input_len()..][..g.input_len()];
        for rows in row_blocks(g) {
            let (start, columns) = (rows.start * g.out_w, rows.len() * g.out_w);
            gather(g, x, rows, patches);
            matmul(
                Matrix::new(&mut output[start..], g.out_channels, columns, pixels),
                Matrix::new(kernel, g.out_channels, g.taps(), g.taps()),
                Matrix::new(&patches[..], g.taps(), columns, columns),
                false,
            );
        }
        for (channel, plane) in output.chunks_exact_mut(pixels).enumerate() {
            let bias = bias.map_or(T::zero(), |bias| bias[channel]);
            match activation {
                Activation::Relu => plane.iter_mut().for_each(|y| *y = relu_scalar(*y + bias)),
                Activation::Identity => plane.iter_mut().for_each(|y| *y += bias),
            }
        }
    });
    output
}

/// Gradient of the input, `[B, C, H, W]`: patches `kernel^T * grad`, scattered back; parallel over samples.
pub(super) fn input_gradient<T: Element>(g: &Geometry, kernel: &[T], grad: &[T]) -> Vec<T> {
    let pixels = g.out_pixels();
    let mut result = vec![T::zero(); g.batch * g.input_len()];
    if result.is_empty() {
        return result;
    }
    let samples = result.par_chunks_mut(g.input_len()).enumerate();
    samples.for_each_init(Vec::new, |patches, (sample, result)| {
        let grad = &grad[sample * g.out_channels * pixels..][..g.out_channels * pixels];
        for rows in row_blocks(g) {
            let (start, columns) = (rows.start * g.out_w, rows.len() * g.out_w);
            patches.resize(g.taps() * columns, T::zero());
            matmul(
                Matrix::new(&mut patches[..], g.taps(), columns, columns),
                Matrix::new(kernel, g.out_channels, g.taps(), g.taps()).t(),
                Matrix::new(&grad[start..], g.out_channels, columns, pixels),
                false,
            );
            scatter(g, patches, rows, result);
        }
    });
    result
}

/// Gradient of the kernel, `[O, C, kh, kw]`, zero outside `rows`: `grad * patches^T`, in a fixed number of partial sums.
pub(super) fn kernel_gradient<T: Element>(g: &Geometry, x: &[T], grad: &[T], rows: Range<usize>) -> Vec<T> {
    let (pixels, taps) = (g.out_pixels(), g.taps());
    let mut result = vec![T::zero(); g.out_channels * taps];
    let trained = &mut result[rows.start * taps..rows.end * taps];
    if trained.is_empty() {
        return result;
    }
    let samples_a_part = g.batch.div_ceil(GRADIENT_PARTS).max(1);
    let parts: Vec<Vec<T>> = (0..g.batch.div_ceil(samples_a_part))
        .into_par_iter()
        .map_init(Vec::new, |patches, part| {
            let mut sums = vec![T::zero(); trained.len()];
            for sample in part * samples_a_part..((part + 1) * samples_a_part).min(g.batch) {
                let x = &x[sample * g.input_len()..][..g.input_len()];
                let grad = &grad[(sample * g.out_channels + rows.start) * pixels..];
                for block in row_blocks(g) {
                    let (start, columns) = (block.start * g.out_w, block.len() * g.out_w);
                    gather(g, x, block, patches);
                    matmul(
                        Matrix::new(&mut sums[..], rows.len(), taps, taps),
                        Matrix::new(&grad[start..], rows.len(), columns, pixels),
                        Matrix::new(&patches[..], taps, columns, columns).t(),
                        true,
                    );
                }
            }
            sums
        })
        .collect();
    for part in parts {
        trained.iter_mut().zip(part).for_each(|(total, value)| *total += value);
    }
    result
}

/// Gradient of the bias, `[O]`, zero outside `rows`.
pub(super) fn bias_gradient<T: Element>(g: &Geometry, grad: &[T], rows: Range<usize>) -> Vec<T> {
    let pixels = g.out_pixels();
    let mut result = vec![T::zero(); g.out_channels];
    result[rows.clone()].par_iter_mut().zip(rows).for_each(|(total, channel)| {
        for sample in 0..g.batch {
            *total += sum(&grad[(sample * g.out_channels + channel) * pixels..][..pixels]);
        }
    });
    result
}

/// Cuts the output rows into blocks whose patch matrix stays small.
fn row_blocks(g: &Geometry) -> impl Iterator<Item = Range<usize>> {
    let height = (PATCH_ELEMENTS / (g.taps() * g.out_w).max(1)).clamp(1, g.out_h.max(1));
    let out_h = g.out_h;
    (0..out_h).step_by(height).map(move |start| start..(start + height).min(out_h))
}

/// Visits every (patch row, output row within `rows`, source row) of a sample; the source is `None` in the padding.
fn each_patch_row(g: &Geometry, rows: Range<usize>, mut visit: impl FnMut(Range<usize>, usize, Option<usize>)) {
    let mut at = 0;
    for channel in 0..g.in_channels {
        for ky in 0..g.kernel_h {
            for kx in 0..g.kernel_w {
                for y in rows.clone() {
                    let source = g.source(y, ky, g.height).map(|row| (channel * g.height + row) * g.width);
                    visit(at..at + g.out_w, kx, source);
                    at += g.out_w;
                }
            }
        }
    }
}

/// Lays the patches of output rows `rows` out as `[C * kh * kw, rows * ow]`.
fn gather<T: Element>(g: &Geometry, x: &[T], rows: Range<usize>, patches: &mut Vec<T>) {
    patches.resize(g.taps() * rows.len() * g.out_w, T::zero());
    each_patch_row(g, rows, |at, kx, source| {
        let target = &mut patches[at];
        let Some(row) = source else { return target.fill(T::zero()) };
        let inside = g.inside(kx);
        target[..inside.start].fill(T::zero());
        target[inside.end..].fill(T::zero());
        if inside.is_empty() {
            return;
        }
        let first = row + inside.start * g.stride + kx * g.dilation - g.padding;
        if g.stride == 1 {
            target[inside.clone()].copy_from_slice(&x[first..first + inside.len()]);
        } else {
            for (target, source) in target[inside].iter_mut().zip(x[first..].iter().step_by(g.stride)) {
                *target = *source;
            }
        }
    });
}

/// Adds the patches of output rows `rows` back onto the pixels they came from.
fn scatter<T: Element>(g: &Geometry, patches: &[T], rows: Range<usize>, result: &mut [T]) {
    each_patch_row(g, rows, |at, kx, source| {
        let inside = g.inside(kx);
        let Some(row) = source.filter(|_| !inside.is_empty()) else { return };
        let first = row + inside.start * g.stride + kx * g.dilation - g.padding;
        let patch = &patches[at][inside];
        for (target, value) in result[first..].iter_mut().step_by(g.stride).zip(patch) {
            *target += *value;
        }
    });
}
