//! The kernel's gradient for convolutions of stride 1, without a patch matrix.
//!
//! A tile of six kernel rows by four taps stays in registers while the pixels pass by. A unit of work owns a group of rows
//! and taps and a part of the pixels, visits the pixels in passes that stay in the cache, and gives every tile of its group
//! each pass; the parts' sums are added in their order.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use super::direct::{TILE_COLUMNS, TILE_ROWS, row_blocks, tap_offsets};
use super::geometry::Geometry;
use super::input::Input;
use super::plane::{Frame, Planes, SLACK};
use crate::arithmetic::Arithmetic;
use crate::element::Element;
use crate::simd::{Kernel, Level, Vector, run};

/// Rows of a unit of work.
const ROWS_A_UNIT: usize = 3 * TILE_ROWS;
/// Taps of a unit of work: with the rows, sums that stay in the second-level cache.
const TAPS_A_UNIT: usize = 36 * TILE_COLUMNS;
/// Units of work, if there are pixels for that many; a constant, so that results cannot depend on the threads.
const UNITS: usize = 16;
/// Pixel vectors that pass by a tile before the next tile takes over, so that they are still in the cache.
const VECTORS_A_PASS: usize = 48;

/// Gradient of the kernel, `[O, C, kh, kw]`, zero outside `rows`.
pub(super) fn kernel_gradient<T: Element, A: Arithmetic<T>>(
    level: Level,
    g: &Geometry,
    x: &Input<'_, T>,
    grad: &[T],
    rows: Range<usize>,
) -> Vec<T> {
    let step = A::pixels(level.lanes::<T>());
    let padded = Frame::new(g.height, g.width, g.padding);
    // Rows of whole vectors; or, if that takes fewer, rows as far apart as the input's, with vectors across their ends. Pixels
    // beyond the width have a gradient of zero.
    let (by_row, across) = (g.out_w.next_multiple_of(step), padded.pitch);
    let is_across =
        (g.out_h * across).div_ceil(step) < g.out_h * by_row / step && (g.kernel_w - 1) * g.dilation + step <= SLACK;
    let frame = Frame { pitch: if is_across { across } else { by_row }, ..Frame::new(g.out_h, g.out_w, 0) };
    let grad = Input::new(grad, g.out_channels, g.out_pixels());
    let is_whole = !is_across && frame.pitch == g.out_w;
    let grad = Pixels::<T, A>::new(&grad, frame, is_whole);
    let input = Pixels::<T, A>::new(x, padded, is_whole && g.padding == 0);
    let spots: Vec<(usize, usize)> = match is_across {
        true => (0..g.out_h * across).step_by(step).map(|at| (at, at)).collect(),
        false => {
            let columns = |y| (0..by_row).step_by(step).map(move |x| (y * padded.pitch + x, y * by_row + x));
            (0..g.out_h).flat_map(columns).collect()
        }
    };
    let views = Views {
        offsets: tap_offsets(g, g.in_channels, input.plane, padded.pitch, 1),
        spots,
        samples: g.batch,
        input_step: g.in_channels * input.plane,
        grad_step: g.out_channels * grad.plane,
        grad_plane: grad.plane,
    };
    gradient_of_views::<T, A>(level, &views, &input.data, &grad.data, g.out_channels, rows)
}

/// Planes of pixels: in place, or laid out anew.
struct Pixels<'a, T: Element, A: Arithmetic<T>> {
    data: Cow<'a, [A::Pixel]>,
    plane: usize,
}

impl<'a, T: Element, A: Arithmetic<T>> Pixels<'a, T, A> {
    fn new(map: &Input<'a, T>, frame: Frame, is_dense: bool) -> Self {
        match map.as_slice().filter(|_| is_dense).and_then(A::as_pixels) {
            Some(pixels) => Self { data: Cow::Borrowed(pixels), plane: frame.height * frame.width },
            None => {
                let planes = Planes::by_pixel::<T, A>(map, frame);
                Self { plane: planes.plane, data: Cow::Owned(planes.data) }
            }
        }
    }
}

/// How input and gradient lie in memory, in pixels.
pub(super) struct Views {
    /// Of each tap, in the input.
    pub(super) offsets: Vec<usize>,
    /// (In the input, in the gradient), of one sample, a vector each, the furthest last.
    pub(super) spots: Vec<(usize, usize)>,
    pub(super) samples: usize,
    /// From sample to sample.
    pub(super) input_step: usize,
    /// From sample to sample.
    pub(super) grad_step: usize,
    /// From output channel to output channel.
    pub(super) grad_plane: usize,
}

/// `[channels, taps]`: for each of `rows` and each tap, the sum over samples and spots of gradient times input.
pub(super) fn gradient_of_views<T: Element, A: Arithmetic<T>>(
    level: Level,
    views: &Views,
    input: &[A::Pixel],
    grad: &[A::Pixel],
    channels: usize,
    rows: Range<usize>,
) -> Vec<T> {
    let (step, taps) = (A::pixels(level.lanes::<T>()), views.offsets.len());
    let mut result = vec![T::zero(); channels * taps];
    let (Some(&(last_input, last_grad)), Some(&last_tap)) = (views.spots.last(), views.offsets.last()) else {
        return result;
    };
    let last_sample = views.samples - 1;
    assert!(
        last_sample * views.input_step + last_input + last_tap + step <= input.len(),
        "a load would leave the input"
    );
    let last_grad = last_sample * views.grad_step + (channels - 1) * views.grad_plane + last_grad + step;
    assert!(last_grad <= grad.len() && rows.end <= channels, "a load would leave the gradient");
    let groups: Vec<(Range<usize>, Range<usize>)> = even_parts(rows, ROWS_A_UNIT)
        .flat_map(|rows| even_parts(0..taps, TAPS_A_UNIT).map(move |taps| (rows.clone(), taps)))
        .collect();
    let parts = UNITS.div_ceil(groups.len().max(1)).min(views.spots.len().div_ceil(VECTORS_A_PASS));
    let units = (0..groups.len() * parts).into_par_iter().map(|unit| {
        let ((rows, taps), part) = (&groups[unit / parts], unit % parts);
        let mut sums = vec![T::zero(); rows.len() * taps.len()];
        let unit = Unit::<T, A> {
            views,
            spots: &views.spots[part * views.spots.len() / parts..(part + 1) * views.spots.len() / parts],
            input,
            grad: &grad[rows.start * views.grad_plane..],
            offsets: &views.offsets[taps.clone()],
            rows: rows.len(),
            sums: &mut sums,
        };
        run(level, unit);
        sums
    });
    for (unit, sums) in units.collect::<Vec<Vec<T>>>().into_iter().enumerate() {
        let (rows, columns) = &groups[unit / parts];
        for (row, sums) in rows.clone().zip(sums.chunks_exact(columns.len())) {
            let targets = &mut result[row * taps + columns.start..row * taps + columns.end];
            targets.iter_mut().zip(sums).for_each(|(target, &sum)| *target += sum);
        }
    }
    result
}

/// Cuts `range` into the fewest parts of at most `most`, as even as can be.
fn even_parts(range: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> {
    let count = range.len().div_ceil(most);
    let at = move |part: usize| range.start + part * range.len() / count.max(1);
    (0..count).map(move |part| at(part)..at(part + 1))
}

struct Unit<'a, T: Element, A: Arithmetic<T>> {
    views: &'a Views,
    /// The unit's part of the spots.
    spots: &'a [(usize, usize)],
    input: &'a [A::Pixel],
    /// From the first sample's first of the unit's rows on.
    grad: &'a [A::Pixel],
    /// Of the unit's taps.
    offsets: &'a [usize],
    rows: usize,
    /// `[rows, offsets]`.
    sums: &'a mut [T],
}

impl<T: Element, A: Arithmetic<T>> Kernel<T> for Unit<'_, T, A> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        let quads = self.offsets.len().div_ceil(TILE_COLUMNS);
        let tile_len = TILE_ROWS * TILE_COLUMNS * V::LANES;
        let blocks = row_blocks(0..self.rows);
        // Vector sums of every tile between its passes.
        let mut partial = vec![T::zero(); blocks.len() * quads * tile_len];
        let samples_a_pass = (VECTORS_A_PASS / self.spots.len().max(1)).max(1);
        for first in (0..self.views.samples).step_by(samples_a_pass) {
            let samples = first..(first + samples_a_pass).min(self.views.samples);
            for spots in self.spots.chunks(VECTORS_A_PASS) {
                let mut tiles = partial.chunks_exact_mut(tile_len);
                for rows in &blocks {
                    for (quad, partial) in (0..quads).zip(&mut tiles) {
                        let pass = Pass { first: rows.start, quad, samples: samples.clone(), spots };
                        // SAFETY: as this function; there are at most TILE_ROWS rows.
                        unsafe {
                            match rows.len() {
                                1 => self.pass::<V, 1>(pass, partial),
                                2 => self.pass::<V, 2>(pass, partial),
                                3 => self.pass::<V, 3>(pass, partial),
                                4 => self.pass::<V, 4>(pass, partial),
                                5 => self.pass::<V, 5>(pass, partial),
                                _ => self.pass::<V, 6>(pass, partial),
                            }
                        }
                    }
                }
            }
        }
        let sums = self.sums;
        for (tile, lanes) in partial.chunks_exact(V::LANES).enumerate() {
            let (row, column) = (tile / TILE_COLUMNS % TILE_ROWS, tile % TILE_COLUMNS);
            let (block, quad) = (tile / (TILE_ROWS * TILE_COLUMNS) / quads, tile / (TILE_ROWS * TILE_COLUMNS) % quads);
            let tap = quad * TILE_COLUMNS + column;
            if row < blocks[block].len() && tap < self.offsets.len() {
                // SAFETY: `lanes` is a vector long.
                sums[(blocks[block].start + row) * self.offsets.len() + tap] = unsafe { V::load(lanes.as_ptr()).sum() };
            }
        }
    }
}

/// A vector of pixels.
#[inline(always)]
unsafe fn load<V: Vector, E>(pixels: *const E) -> V {
    // SAFETY: the caller vouches for a vector of them.
    unsafe { V::load(pixels.cast()) }
}

/// One tile's share of the work at a time.
struct Pass<'a> {
    /// The tile's first row, within the unit.
    first: usize,
    /// The tile's taps: the four from `4 quad` on.
    quad: usize,
    samples: Range<usize>,
    spots: &'a [(usize, usize)],
}

impl<T: Element, A: Arithmetic<T>> Unit<'_, T, A> {
    /// Adds the samples' spots to one tile's sums.
    #[inline(always)]
    unsafe fn pass<V: Vector<Element = T>, const ROWS: usize>(&self, pass: Pass<'_>, partial: &mut [T]) {
        // A missing tap repeats the last; its sum is not used.
        let mut offsets = [0; TILE_COLUMNS];
        for (column, offset) in offsets.iter_mut().enumerate() {
            *offset = self.offsets[(pass.quad * TILE_COLUMNS + column).min(self.offsets.len() - 1)];
        }
        // SAFETY: vectors of this level; `gradient_of_views` has checked that the last spot of the last sample, tap and row is
        // inside; `partial` holds TILE_ROWS x TILE_COLUMNS vectors; a vector holds `A::pixels` pixels.
        unsafe {
            let mut sums = [[V::splat(T::zero()); TILE_COLUMNS]; ROWS];
            for (row, sums) in sums.iter_mut().enumerate() {
                for (column, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(partial.as_ptr().add((row * TILE_COLUMNS + column) * V::LANES));
                }
            }
            for sample in pass.samples {
                let input = self.input.as_ptr().add(sample * self.views.input_step);
                let grad = self.grad.as_ptr().add(sample * self.views.grad_step + pass.first * self.views.grad_plane);
                for &(from, at) in pass.spots {
                    let mut pixels = [V::splat(T::zero()); TILE_COLUMNS];
                    for column in 0..TILE_COLUMNS {
                        pixels[column] = load::<V, _>(input.add(from + offsets[column]));
                    }
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let gradient = load::<V, _>(grad.add(row * self.views.grad_plane + at));
                        for column in 0..TILE_COLUMNS {
                            sums[column] = A::add_product(sums[column], gradient, pixels[column]);
                        }
                    }
                }
            }
            for (row, sums) in sums.iter().enumerate() {
                for (column, sum) in sums.iter().enumerate() {
                    sum.store(partial.as_mut_ptr().add((row * TILE_COLUMNS + column) * V::LANES));
                }
            }
        }
    }
}
