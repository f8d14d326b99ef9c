//! Convolution of many small images: each image has one lane of the vectors.
//!
//! The rows of a digit are shorter than two vectors, so vectors along a row would be partly empty. Here the batch is cut
//! into blocks of four vectors of images, and each block is laid out pixel by pixel with its images side by side: `[C, H,
//! W, L]`. Every vector is full whatever the image's width, pooling compares whole vectors, and the input's gradient
//! visits only taps that exist, instead of multiplying zeros around the border.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::direct::{Job, Packed, Spot, TILE_COLUMNS, Tap, Taps, tap_offsets};
use super::direct_gradient::{Views, gradient_of_views};
use crate::arithmetic::Exact;
use crate::element::Element;
use crate::geometry::Geometry;
use crate::memory::{fill, initialised};
use crate::settings::{Activation, MaxPool2d};
use crate::simd::{Kernel, Level, Vector, run};

/// Elements of a sample that are transposed at a time.
const STRIP: usize = 16;

/// A batch in blocks of [`Lanes::width`] images side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lanes {
    /// Images of a block, L: the lanes of four vectors.
    pub(super) width: usize,
}

impl Lanes {
    pub(super) fn new<T: Element>(level: Level) -> Self {
        Self { width: TILE_COLUMNS * level.lanes::<T>() }
    }

    /// Whether more lanes are used this way than with vectors along the rows.
    pub(super) fn pays<T: Element>(level: Level, g: &Geometry) -> bool {
        let used = |items: usize, step: usize| items as f64 / items.next_multiple_of(step).max(1) as f64;
        let along_rows = used(g.out_w, level.lanes::<T>());
        g.stride == 1 && used(g.batch, Self::new::<T>(level).width) > along_rows.min(0.8)
    }

    pub(super) fn blocks(self, batch: usize) -> usize {
        batch.div_ceil(self.width)
    }

    /// `[B, sample]` to `[blocks, sample, L]`; lanes beyond the batch are zero.
    pub(super) fn gather_batch<T: Element>(self, batch: &[T], sample: usize) -> Vec<T> {
        let count = batch.len() / sample.max(1);
        let write = |result: &mut [MaybeUninit<T>]| {
            let blocks = result.par_chunks_mut(sample * self.width).zip(batch.par_chunks(sample * self.width));
            blocks.for_each(|(block, images)| {
                if images.len() < block.len() {
                    fill(block, T::zero());
                }
                for (strip, target) in block.chunks_mut(STRIP * self.width).enumerate() {
                    for (lane, image) in images.chunks_exact(sample).enumerate() {
                        let source = &image[strip * STRIP..(strip * STRIP + STRIP).min(sample)];
                        for (pixel, &value) in source.iter().enumerate() {
                            target[pixel * self.width + lane].write(value);
                        }
                    }
                }
            });
        };
        // SAFETY: there is a part of the batch for each block; with an image for each lane, every pixel of every lane is written, and
        // a block with fewer images is filled with zeros first.
        unsafe { initialised(self.blocks(count) * sample * self.width, write) }
    }

    /// The inverse of `gather_batch`; lanes beyond the batch are left out.
    pub(super) fn scatter_batch<T: Element>(self, blocks: &[T], sample: usize, count: usize) -> Vec<T> {
        assert_eq!(blocks.len(), self.blocks(count) * sample * self.width, "lanes: blocks of another batch");
        let write = |result: &mut [MaybeUninit<T>]| {
            let pairs = result.par_chunks_mut(sample * self.width).zip(blocks.par_chunks(sample * self.width));
            pairs.for_each(|(images, block)| {
                for (strip, source) in block.chunks(STRIP * self.width).enumerate() {
                    for (lane, image) in images.chunks_exact_mut(sample).enumerate() {
                        let target = &mut image[strip * STRIP..(strip * STRIP + STRIP).min(sample)];
                        for (pixel, value) in target.iter_mut().enumerate() {
                            value.write(source[pixel * self.width + lane]);
                        }
                    }
                }
            });
        };
        // SAFETY: there is a block for each group of images, and the strips cover each image.
        unsafe { initialised(count * sample, write) }
    }

    /// `activation(x * kernel + bias)`: `[blocks, C, H, W, L]` to `[blocks, O, oh, ow, L]`.
    pub(super) fn forward<T: Element>(
        self,
        level: Level,
        g: &Geometry,
        x: &[T],
        kernel: &[T],
        bias: Option<&[T]>,
        activation: Activation,
    ) -> Vec<T> {
        let weights =
            Packed::new::<Exact>(g.out_channels, g.in_channels, g.kernel_h * g.kernel_w, |row, channel, at| {
                kernel[row * g.taps() + channel * g.kernel_h * g.kernel_w + at]
            });
        let taps = |y: usize, x: usize| {
            self.taps(g.in_channels, (g.kernel_h, g.kernel_w), (g.height, g.width), |ky, kx| {
                Some((g.source(y, ky, g.height)?, g.source(x, kx, g.width)?))
            })
        };
        let sizes = Sizes {
            batch: g.batch,
            channels: (g.in_channels, g.out_channels),
            out: (g.out_h, g.out_w),
            input: (g.height, g.width),
        };
        self.convolve(level, &sizes, x, &weights, bias, activation, taps)
    }

    /// Gradient of the input, `[blocks, C, H, W, L]`, from `[blocks, O, oh, ow, L]`.
    pub(super) fn input_gradient<T: Element>(self, level: Level, g: &Geometry, kernel: &[T], grad: &[T]) -> Vec<T> {
        let window = g.kernel_h * g.kernel_w;
        let weights = Packed::new::<Exact>(g.in_channels, g.out_channels, window, |row, channel, at| {
            kernel[(channel * g.in_channels + row) * window + at]
        });
        // The output pixel whose tap k reads input pixel i, if there is one.
        let reader =
            |i: usize, k: usize, size: usize| (i + g.padding).checked_sub(k * g.dilation).filter(|&o| o < size);
        let taps = |y: usize, x: usize| {
            self.taps(g.out_channels, (g.kernel_h, g.kernel_w), (g.out_h, g.out_w), |ky, kx| {
                Some((reader(y, ky, g.out_h)?, reader(x, kx, g.out_w)?))
            })
        };
        let sizes = Sizes {
            batch: g.batch,
            channels: (g.out_channels, g.in_channels),
            out: (g.height, g.width),
            input: (g.out_h, g.out_w),
        };
        self.convolve(level, &sizes, grad, &weights, None, Activation::Identity, taps)
    }

    /// Gradient of the kernel, `[O, C, kh, kw]`, zero outside `rows`.
    pub(super) fn kernel_gradient<T: Element>(
        self,
        level: Level,
        g: &Geometry,
        x: &[T],
        grad: &[T],
        rows: Range<usize>,
    ) -> Vec<T> {
        let (step_x, width) = (self.width, g.width + 2 * g.padding);
        let padded;
        let (input, height) = match g.padding {
            0 => (x, g.height),
            margin => {
                padded = self.pad(g, x, margin);
                (&padded[..], g.height + 2 * margin)
            }
        };
        let row = width * step_x;
        let offsets = tap_offsets(g, g.in_channels, height * row, row, step_x);
        let vectors = g.out_w * TILE_COLUMNS;
        let spots = (0..g.out_h * vectors).map(|at| (at / vectors, at % vectors * level.lanes::<T>()));
        let views = Views {
            offsets,
            spots: spots.map(|(y, x)| (y * row + x, y * g.out_w * step_x + x)).collect(),
            samples: self.blocks(g.batch),
            input_step: g.in_channels * height * row,
            grad_step: g.out_channels * g.out_pixels() * step_x,
            grad_plane: g.out_pixels() * step_x,
        };
        gradient_of_views::<T, Exact>(level, &views, input, grad, g.out_channels, rows)
    }

    /// Zeros around every plane of `[blocks, C, H, W, L]`.
    fn pad<T: Element>(self, g: &Geometry, x: &[T], margin: usize) -> Vec<T> {
        let (height, row) = (g.height + 2 * margin, (g.width + 2 * margin) * self.width);
        let mut result = vec![T::zero(); x.len() / (g.height * g.width) * height * (g.width + 2 * margin)];
        let planes = result.par_chunks_mut(height * row).zip(x.par_chunks(g.height * g.width * self.width));
        planes.for_each(|(target, source)| {
            let rows = target.chunks_exact_mut(row).skip(margin).zip(source.chunks_exact(g.width * self.width));
            rows.for_each(|(target, source)| target[margin * self.width..][..source.len()].copy_from_slice(source));
        });
        result
    }

    /// Gradient of the bias, `[O]`, zero outside `rows`.
    pub(super) fn bias_gradient<T: Element>(self, g: &Geometry, grad: &[T], rows: Range<usize>) -> Vec<T> {
        let plane = g.out_pixels() * self.width;
        let mut result = vec![T::zero(); g.out_channels];
        result[rows.clone()].par_iter_mut().zip(rows).for_each(|(total, channel)| {
            for block in grad.chunks_exact(g.out_channels * plane) {
                *total += crate::element::sum(&block[channel * plane..][..plane]);
            }
        });
        result
    }

    /// The taps that read inside the input; `source` gives the place.
    fn taps(
        self,
        channels: usize,
        (kernel_h, kernel_w): (usize, usize),
        (height, width): (usize, usize),
        source: impl Fn(usize, usize) -> Option<(usize, usize)>,
    ) -> Taps {
        let mut taps = Vec::with_capacity(channels * kernel_h * kernel_w);
        for channel in 0..channels {
            for ky in 0..kernel_h {
                for kx in 0..kernel_w {
                    if let Some((y, x)) = source(ky, kx) {
                        let offset = ((channel * height + y) * width + x) * self.width;
                        taps.push(Tap { offset, index: (channel * kernel_h + ky) * kernel_w + kx });
                    }
                }
            }
        }
        Taps::new(taps)
    }

    /// One convolution in lanes, whose taps are given pixel by pixel.
    #[expect(clippy::too_many_arguments, reason = "the operands of a convolution")]
    fn convolve<T: Element>(
        self,
        level: Level,
        sizes: &Sizes,
        input: &[T],
        weights: &Packed<T>,
        bias: Option<&[T]>,
        activation: Activation,
        taps: impl Fn(usize, usize) -> Taps + Sync,
    ) -> Vec<T> {
        let (out_h, out_w) = sizes.out;
        let input_step = sizes.channels.0 * sizes.input.0 * sizes.input.1 * self.width;
        let lanes = level.lanes::<T>();
        let lists: Vec<Taps> =
            (0..out_h * out_w).into_par_iter().map(|pixel| taps(pixel / out_w, pixel % out_w)).collect();
        let job = Job {
            samples: self.blocks(sizes.batch),
            out_h,
            parts: &[sizes.channels.1],
            plane: out_h * out_w * self.width,
            weights,
            bias,
            activation,
        };
        let mut outputs = job.run::<Exact>(level, |_, block, rows, unit| {
            let input = &input[block * input_step..(block + 1) * input_step];
            let pixels = rows.start * out_w..rows.end * out_w;
            for (pixel, taps) in pixels.clone().zip(&lists[pixels]) {
                let spot = |column| Spot { input: column * lanes, output: pixel * self.width + column * lanes, lanes };
                unit(input, taps, &std::array::from_fn::<Spot, TILE_COLUMNS, _>(spot));
            }
        });
        outputs.swap_remove(0)
    }

    /// Pools `[planes, h, w, L]`.
    pub(super) fn pool<T: Element>(self, level: Level, pool: MaxPool2d, g: &Geometry, map: &[T]) -> Vec<T> {
        let (plane, small) = self.plane_sizes(pool, g);
        let write = |output: &mut [MaybeUninit<T>]| {
            let planes = output.par_chunks_mut(small).zip(map.par_chunks_exact(plane));
            planes.for_each(|(output, map)| run(level, Pool { lanes: self, pool, g, map, output }));
        };
        // SAFETY: there are as many planes to read as to write, and every pixel of a plane has a window, which is not empty.
        unsafe { initialised(map.len() / plane * small, write) }
    }

    /// From the gradient of the pooled map to that of the linear map, activation included.
    #[expect(clippy::too_many_arguments, reason = "the operands of a backward pass")]
    pub(super) fn unpool<T: Element>(
        self,
        level: Level,
        pool: MaxPool2d,
        g: &Geometry,
        activation: Activation,
        map: &[T],
        pooled: &[T],
        grad: &[T],
    ) -> Vec<T> {
        let (plane, small) = self.plane_sizes(pool, g);
        let count = map.len() / plane;
        assert!(pooled.len() == count * small && grad.len() == count * small, "lanes: a gradient of another size");
        let write = |result: &mut [MaybeUninit<T>]| {
            let planes = map.par_chunks_exact(plane).zip(pooled.par_chunks(small).zip(grad.par_chunks(small)));
            result.par_chunks_mut(plane).zip(planes).for_each(|(result, (map, (pooled, grad)))| {
                // Plane by plane, so that the zeros are still in the cache when gradients are added.
                let result = fill(result, T::zero());
                run(level, Unpool { lanes: self, pool, g, activation, map, pooled, grad, result });
            });
        };
        // SAFETY: there are a map and a gradient for each plane, which is filled with zeros first.
        unsafe { initialised(count * plane, write) }
    }

    /// Elements of a plane before and after pooling.
    fn plane_sizes(self, pool: MaxPool2d, g: &Geometry) -> (usize, usize) {
        (g.out_pixels() * self.width, pool.output_side(g.out_h) * pool.output_side(g.out_w) * self.width)
    }

    /// The places of a pooling window within a plane.
    fn window(self, pool: MaxPool2d, g: &Geometry, oy: usize, ox: usize) -> impl Iterator<Item = Range<usize>> {
        let (width, out_w) = (self.width, g.out_w);
        let rows = oy * pool.stride..oy * pool.stride + pool.kernel;
        let columns = ox * pool.stride..ox * pool.stride + pool.kernel;
        rows.flat_map(move |y| columns.clone().map(move |x| (y * out_w + x) * width..(y * out_w + x + 1) * width))
    }
}

/// Pools one plane `[h, w, L]`. Plain loops: inside [`run`] the compiler uses the level's vectors for them.
struct Pool<'a, T> {
    lanes: Lanes,
    pool: MaxPool2d,
    g: &'a Geometry,
    map: &'a [T],
    output: &'a mut [MaybeUninit<T>],
}

impl<T: Element> Kernel<T> for Pool<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        let out_w = self.pool.output_side(self.g.out_w);
        for (pixel, output) in self.output.chunks_exact_mut(self.lanes.width).enumerate() {
            let mut window = self.lanes.window(self.pool, self.g, pixel / out_w, pixel % out_w);
            let Some(first) = window.next() else { unreachable!("a window has at least one place") };
            let output = output.write_copy_of_slice(&self.map[first]);
            for at in window {
                for (best, &value) in output.iter_mut().zip(&self.map[at]) {
                    *best = if (value > *best) | value.is_nan() { value } else { *best };
                }
            }
        }
    }
}

/// Gives each pooled pixel's gradient to the first place that holds its maximum.
struct Unpool<'a, T> {
    lanes: Lanes,
    pool: MaxPool2d,
    g: &'a Geometry,
    activation: Activation,
    map: &'a [T],
    pooled: &'a [T],
    grad: &'a [T],
    result: &'a mut [T],
}

impl<T: Element> Kernel<T> for Unpool<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        let (width, out_w) = (self.lanes.width, self.pool.output_side(self.g.out_w));
        let mut left = vec![T::zero(); width];
        for (pixel, (best, grad)) in self.pooled.chunks_exact(width).zip(self.grad.chunks_exact(width)).enumerate() {
            left.copy_from_slice(grad);
            if self.activation == Activation::Relu {
                for (left, &best) in left.iter_mut().zip(best) {
                    *left = if best <= T::zero() { T::zero() } else { *left };
                }
            }
            for window in self.lanes.window(self.pool, self.g, pixel / out_w, pixel % out_w) {
                let places = self.result[window.clone()].iter_mut().zip(&self.map[window]);
                for ((place, &value), (left, &best)) in places.zip(left.iter_mut().zip(best)) {
                    let is_it = (value == best) | (value.is_nan() & best.is_nan());
                    *place += if is_it { *left } else { T::zero() };
                    *left = if is_it { T::zero() } else { *left };
                }
            }
        }
    }
}

/// The sizes of one convolution in lanes.
struct Sizes {
    batch: usize,
    /// Input and output channels.
    channels: (usize, usize),
    out: (usize, usize),
    input: (usize, usize),
}
