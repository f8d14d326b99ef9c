//! The kernel's gradient where pixels are few and channels many: lanes are output channels.
//!
//! With lanes along the pixels (`direct_gradient`) every sum ends with the addition of its lanes. At the bottom of a
//! U-Net there are so few pixels that this dominates. Here the gradient of the output is transposed to `[B, H, W, O]`, a
//! tile of six taps by four vectors of channels stays in registers, and each pixel of the input is multiplied with all
//! vectors.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::direct::tap_offsets;
use super::input::Input;
use super::plane::{Frame, Planes};
use crate::arithmetic::Arithmetic;
use crate::element::Element;
use crate::geometry::Geometry;
use crate::memory::initialised;
use crate::simd::{Kernel, Level, Vector, run};

/// The largest number of pixels, over all samples, for which this is faster.
const MOST_PIXELS: usize = 16 * 1024;
/// Taps of a unit of work: whole tiles of every shape.
const TAPS_A_UNIT: usize = 72;
/// Steps of a pass: with four vectors per step, they stay in the first-level cache until the next tile reads them.
const STEPS_A_PASS: usize = 128;
/// Columns that are transposed at a time.
const STRIP: usize = 16;

/// Whether the functions of this file are the fastest for `rows` of `g`.
pub(super) fn pays<T: Element>(level: Level, g: &Geometry, rows: &Range<usize>) -> bool {
    let lanes = level.lanes::<T>();
    g.batch * g.out_pixels() <= MOST_PIXELS && rows.len() >= 2 * lanes && rows.len().is_multiple_of(lanes)
}

/// Gradient of the kernel, `[O, C, kh, kw]`, zero outside `rows`, whose number is a multiple of a vector's lanes.
pub(super) fn kernel_gradient<T: Element, A: Arithmetic<T>>(
    level: Level,
    g: &Geometry,
    x: &Input<'_, T>,
    grad: &[T],
    rows: Range<usize>,
) -> Vec<T> {
    let (lanes, taps) = (level.lanes::<T>(), g.taps());
    let frame = Frame::new(g.height, g.width, g.padding);
    let input = Planes::by_pixel::<T, A>(x, frame);
    let offsets = tap_offsets(g, g.in_channels, input.plane, frame.pitch, 1);
    let turned = turned::<T, A>(g, grad, rows.clone());
    let steps_a_row = g.out_w.div_ceil(A::pixels(1));
    let blocks = vector_blocks(rows.len() / lanes);
    let tap_starts: Vec<usize> = (0..taps).step_by(TAPS_A_UNIT).collect();
    let units = (0..blocks.len() * tap_starts.len()).into_par_iter().map(|unit| {
        let (block, start) = (&blocks[unit / tap_starts.len()], tap_starts[unit % tap_starts.len()]);
        let taps = start..(start + TAPS_A_UNIT).min(taps);
        let mut sums = vec![T::zero(); taps.len().next_multiple_of(12) * block.len() * lanes];
        let views = Views {
            samples: g.batch,
            sample: g.in_channels * input.plane,
            pitch: frame.pitch,
            height: g.out_h,
            steps_a_row,
            channels: rows.len(),
            offsets: &offsets[taps.clone()],
        };
        let first = block.start * lanes;
        views.sums::<T, A>(level, &input.data, &turned, first, block.len(), &mut sums);
        sums
    });
    let (units, tap_units): (Vec<Vec<T>>, usize) = (units.collect(), tap_starts.len());
    let mut result = vec![T::zero(); g.out_channels * taps];
    // Each vector of rows is put together from the units of its block. In the result the taps of a row are contiguous.
    let vectors: Vec<(usize, usize, usize)> = blocks
        .iter()
        .enumerate()
        .flat_map(|(block, vectors)| (0..vectors.len()).map(move |at| (block * tap_units, at, vectors.len())))
        .collect();
    let targets = result[rows.start * taps..rows.end * taps].par_chunks_mut((taps * lanes).max(1));
    targets.zip(&vectors).for_each(|(target, &(first, at, width))| {
        for (tap, unit) in (0..taps).step_by(TAPS_A_UNIT).zip(&units[first..]) {
            let sums = unit.chunks_exact(width * lanes).take(TAPS_A_UNIT.min(taps - tap));
            let sums: Vec<&[T]> = sums.map(|sums| &sums[at * lanes..][..lanes]).collect();
            // Few taps at a time, so that all lanes' lines of the result stay in the cache.
            for (strip, sums) in sums.chunks(STRIP).enumerate() {
                for lane in 0..lanes {
                    let row = &mut target[lane * taps + tap + strip * STRIP..][..sums.len()];
                    row.iter_mut().zip(sums).for_each(|(target, sums)| *target = sums[lane]);
                }
            }
        }
    });
    result
}

/// Vectors in blocks of four, two and one.
fn vector_blocks(vectors: usize) -> Vec<Range<usize>> {
    let (mut blocks, mut at) = (Vec::new(), 0);
    for size in [4, 2, 1] {
        while at + size <= vectors {
            blocks.push(at..at + size);
            at += size;
        }
    }
    blocks
}

/// `rows` of `[B, O, H, W]` as `[B, H, W / pixels, rows]`, with as many pixels in an element as the arithmetic multiplies.
fn turned<T: Element, A: Arithmetic<T>>(g: &Geometry, grad: &[T], rows: Range<usize>) -> Vec<T> {
    let (pixels, channels) = (A::pixels(1), rows.len());
    let steps = g.out_w.div_ceil(pixels);
    let write = |turned: &mut [MaybeUninit<T>]| {
        turned.par_chunks_mut((steps * channels).max(1)).enumerate().for_each(|(line, target)| {
            let (sample, y) = (line / g.out_h, line % g.out_h);
            let row =
                |channel: usize| &grad[((sample * g.out_channels + channel) * g.out_h + y) * g.out_w..][..g.out_w];
            for start in (0..steps).step_by(STRIP) {
                for (at, channel) in rows.clone().enumerate() {
                    let row = row(channel);
                    for step in start..(start + STRIP).min(steps) {
                        let second = row.get(step * pixels + 1).copied().unwrap_or_default();
                        target[step * channels + at].write(A::combine(row[step * pixels], second));
                    }
                }
            }
        });
    };
    // SAFETY: the chunks are the lines of all samples, and of each line every step of every channel is written.
    unsafe { initialised(g.batch * g.out_h * steps * channels, write) }
}

/// How input and turned gradient lie in memory.
struct Views<'a> {
    samples: usize,
    /// Distance between samples, in pixels of the input.
    sample: usize,
    /// Distance between rows, in pixels of the input.
    pitch: usize,
    height: usize,
    /// Elements of a channel in a row of the turned gradient.
    steps_a_row: usize,
    /// Channels of the turned gradient.
    channels: usize,
    /// Offsets of the unit's taps, in pixels, in rising order.
    offsets: &'a [usize],
}

impl Views<'_> {
    /// `[taps, vectors, lanes]`, from channel `first` on.
    ///
    /// # Panics
    /// If a load would leave an operand, or the sums have no room.
    fn sums<T: Element, A: Arithmetic<T>>(
        &self,
        level: Level,
        input: &[A::Pixel],
        turned: &[T],
        first: usize,
        vectors: usize,
        sums: &mut [T],
    ) {
        let Some(&last_tap) = self.offsets.last() else { return };
        let last_row = (self.samples - 1) * self.sample + (self.height - 1) * self.pitch;
        let input_end = last_row + self.steps_a_row * A::pixels(1) + last_tap;
        assert!(input_end <= input.len(), "a load would leave the input");
        let width = vectors * level.lanes::<T>();
        assert!(first + width <= self.channels, "a load would leave a row of channels");
        let elements = self.samples * self.height * self.steps_a_row * self.channels;
        assert!(elements <= turned.len(), "a load would leave the gradient");
        assert!(self.offsets.len().next_multiple_of(12) * width <= sums.len(), "no room for the sums");
        run(level, Unit::<T, A> { views: self, input, turned: &turned[first..], vectors, sums });
    }
}

struct Unit<'a, T: Element, A: Arithmetic<T>> {
    views: &'a Views<'a>,
    input: &'a [A::Pixel],
    /// From the unit's first channel on.
    turned: &'a [T],
    vectors: usize,
    sums: &'a mut [T],
}

impl<T: Element, A: Arithmetic<T>> Kernel<T> for Unit<'_, T, A> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(mut self) {
        // SAFETY: as this function.
        unsafe {
            match self.vectors {
                4 => self.passes::<V, 6, 4>(),
                2 => self.passes::<V, 12, 2>(),
                _ => self.passes::<V, 12, 1>(),
            }
        }
    }
}

impl<T: Element, A: Arithmetic<T>> Unit<'_, T, A> {
    #[inline(always)]
    unsafe fn passes<V: Vector<Element = T>, const TAPS: usize, const VECTORS: usize>(&mut self) {
        let views = self.views;
        let rows_a_pass = (STEPS_A_PASS / views.steps_a_row).max(1);
        let lines = views.samples * views.height;
        for first in (0..lines).step_by(rows_a_pass) {
            for tile in 0..views.offsets.len().div_ceil(TAPS) {
                // A missing tap repeats the last; its sum is not used.
                let mut offsets = [0; TAPS];
                for (at, offset) in offsets.iter_mut().enumerate() {
                    *offset = views.offsets[(tile * TAPS + at).min(views.offsets.len() - 1)];
                }
                // SAFETY: vectors of this level; `Views::sums` has checked the last load of each operand and the room for
                // sums.
                unsafe {
                    let place = self.sums.as_mut_ptr().add(tile * TAPS * VECTORS * V::LANES);
                    let mut sums = [[V::splat(T::zero()); VECTORS]; TAPS];
                    for (tap, sums) in sums.iter_mut().enumerate() {
                        for (vector, sum) in sums.iter_mut().enumerate() {
                            *sum = V::load(place.add((tap * VECTORS + vector) * V::LANES));
                        }
                    }
                    for line in first..(first + rows_a_pass).min(lines) {
                        let from = line / views.height * views.sample + line % views.height * views.pitch;
                        let mut pixels = self.input.as_ptr().add(from);
                        let mut channels = self.turned.as_ptr().add(line * views.steps_a_row * views.channels);
                        for _ in 0..views.steps_a_row {
                            let mut gradients = [V::splat(T::zero()); VECTORS];
                            for (vector, gradient) in gradients.iter_mut().enumerate() {
                                *gradient = V::load(channels.add(vector * V::LANES));
                            }
                            for (tap, sums) in sums.iter_mut().enumerate() {
                                let pixel = V::splat(pixels.add(offsets[tap]).cast::<T>().read_unaligned());
                                for vector in 0..VECTORS {
                                    sums[vector] = A::add_product(sums[vector], gradients[vector], pixel);
                                }
                            }
                            pixels = pixels.wrapping_add(A::pixels(1));
                            channels = channels.wrapping_add(views.channels);
                        }
                    }
                    for (tap, sums) in sums.iter().enumerate() {
                        for (vector, sum) in sums.iter().enumerate() {
                            sum.store(place.add((tap * VECTORS + vector) * V::LANES));
                        }
                    }
                }
            }
        }
    }
}
