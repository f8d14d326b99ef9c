//! The kernel's gradient for convolutions of stride 1, without a patch matrix.
//!
//! A tile of six kernel rows by four taps of sums stays in registers during the loop over the pixels. A unit of work has
//! a group of rows and taps and a part of the pixels. It divides its pixels into passes that fit in the cache, and in
//! each pass computes all tiles of its group. At the end, the sums of the parts are added in a fixed order.

use std::ops::Range;

use rayon::prelude::*;

use super::direct::{TILE_COLUMNS, TILE_ROWS, row_blocks, tap_offsets};
use super::input::Input;
use super::plane::{Frame, Planes, SLACK, Window};
use crate::arithmetic::Arithmetic;
use crate::element::Element;
use crate::geometry::Geometry;
use crate::simd::{Kernel, Level, Vector, run};

/// Rows of a unit of work.
const ROWS_A_UNIT: usize = 3 * TILE_ROWS;
/// Taps of a unit of work: with the rows, sums that stay in the second-level cache.
const TAPS_A_UNIT: usize = 36 * TILE_COLUMNS;
/// Number of units of work, if there are enough pixels. A constant, so that results cannot depend on the number of threads.
const UNITS: usize = 16;
/// Pixel vectors of a pass: the next tile finds them in the cache.
const VECTORS_A_PASS: usize = 48;
/// Up to this number of groups, each copies its part of the operands; more groups share one copy of all planes.
const GROUPS_WITH_WINDOWS: usize = 4;
/// About the number of elements of the input that a unit copies: half of a second-level cache.
const WINDOW_ELEMENTS: usize = 128 * 1024;

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
    // Either each row is filled up to whole vectors, or, if that takes fewer vectors, rows have the pitch of the input
    // and vectors extend over their ends. The gradient of pixels beyond the width is zero.
    let (by_row, across) = (g.out_w.next_multiple_of(step), padded.pitch);
    let is_across =
        (g.out_h * across).div_ceil(step) < g.out_h * by_row / step && (g.kernel_w - 1) * g.dilation + step <= SLACK;
    let frame = Frame { pitch: if is_across { across } else { by_row }, ..Frame::new(g.out_h, g.out_w, 0) };
    let grad = Input::new(grad, g.out_channels, g.out_pixels());
    if !is_across && groups(rows.clone(), g.taps()).len() <= GROUPS_WITH_WINDOWS {
        return by_windows::<T, A>(level, g, x, padded, &grad, frame, rows);
    }
    let (grad, input) = (Planes::by_pixel::<T, A>(&grad, frame), Planes::by_pixel::<T, A>(x, padded));
    let spots: Vec<(usize, usize)> = if is_across {
        (0..g.out_h * across).step_by(step).map(|at| (at, at)).collect()
    } else {
        row_spots(g.out_h, padded.pitch, by_row, step)
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

/// A vector every `step` pixels of each of `height` rows: (in the input, in the gradient).
fn row_spots(height: usize, input_pitch: usize, grad_pitch: usize, step: usize) -> Vec<(usize, usize)> {
    let columns = |y| (0..grad_pitch).step_by(step).map(move |x| (y * input_pitch + x, y * grad_pitch + x));
    (0..height).flat_map(columns).collect()
}

/// The sums of units that have a group, a sample and some rows of pixels each. A unit copies what it reads, unless that
/// can be read in place.
fn by_windows<'a, T: Element, A: Arithmetic<T>>(
    level: Level,
    g: &Geometry,
    x: &Input<'a, T>,
    padded: Frame,
    grad: &Input<'a, T>,
    frame: Frame,
    rows: Range<usize>,
) -> Vec<T> {
    let (window, reach, groups) = (g.kernel_h * g.kernel_w, (g.kernel_h - 1) * g.dilation, groups(rows, g.taps()));
    let in_place = |map: Option<&'a [T]>| map.filter(|_| frame.pitch == g.out_w).and_then(A::as_pixels);
    let (grad_in_place, x_in_place) = (in_place(grad.as_slice()), in_place(x.as_slice().filter(|_| g.padding == 0)));
    let widest = groups.iter().map(|(_, taps)| taps.len().div_ceil(window)).max().unwrap_or(1);
    let fitting = (WINDOW_ELEMENTS / (widest * padded.pitch)).saturating_sub(reach).max(1);
    let sharing = g.out_h.div_ceil(UNITS.div_ceil(groups.len().max(1) * g.batch));
    let height = fitting.min(sharing);
    let parts = g.out_h.div_ceil(height);
    let input_plane = if x_in_place.is_some() { g.height * g.width } else { (height + reach) * padded.pitch };
    let grad_plane = if grad_in_place.is_some() { g.out_pixels() } else { height * frame.pitch };
    let units = (0..groups.len() * g.batch * parts).into_par_iter();
    let sums = units.map_init(Default::default, |(input_data, grad_data): &mut (Vec<_>, Vec<_>), unit| {
        let (rows, taps) = &groups[unit / (g.batch * parts)];
        let (sample, first) = (unit / parts % g.batch, unit % parts * height);
        let lines = first..(first + height).min(g.out_h);
        let channels = taps.start / window..taps.end.div_ceil(window);
        let input = match x_in_place {
            Some(x) => &x[(sample * g.in_channels + channels.start) * input_plane + lines.start * g.width..],
            None => {
                let window = Window { sample, rows: lines.start..lines.end + reach, plane: input_plane };
                window.by_pixel::<T, A>(x, padded, channels.clone(), input_data);
                &input_data[..]
            }
        };
        let grad = match grad_in_place {
            Some(grad) => &grad[(sample * g.out_channels + rows.start) * grad_plane + lines.start * g.out_w..],
            None => {
                let window = Window { sample, rows: lines.clone(), plane: grad_plane };
                window.by_pixel::<T, A>(grad, frame, rows.clone(), grad_data);
                &grad_data[..]
            }
        };
        let mut offsets = tap_offsets(g, channels.len(), input_plane, padded.pitch, 1);
        offsets.truncate(taps.end - channels.start * window);
        let views = Views {
            offsets: offsets.split_off(taps.start - channels.start * window),
            spots: row_spots(lines.len(), padded.pitch, frame.pitch, A::pixels(level.lanes::<T>())),
            samples: 1,
            input_step: 0,
            grad_step: 0,
            grad_plane,
        };
        views.sums::<T, A>(level, 0..views.spots.len(), input, grad, 0..views.offsets.len(), rows.len())
    });
    add_up(sums.collect(), &groups, g.batch * parts, g.out_channels, g.taps())
}

/// Rows and taps of a unit of work.
fn groups(rows: Range<usize>, taps: usize) -> Vec<(Range<usize>, Range<usize>)> {
    let of_rows = |rows: Range<usize>| even_parts(0..taps, TAPS_A_UNIT).map(move |taps| (rows.clone(), taps));
    even_parts(rows, ROWS_A_UNIT).flat_map(of_rows).collect()
}

/// `[channels, taps]`: the sums over the `parts` of each group, added in their order.
fn add_up<T: Element>(
    sums: Vec<Vec<T>>,
    groups: &[(Range<usize>, Range<usize>)],
    parts: usize,
    channels: usize,
    taps: usize,
) -> Vec<T> {
    let mut result = vec![T::zero(); channels * taps];
    for (unit, sums) in sums.into_iter().enumerate() {
        let (rows, columns) = &groups[unit / parts];
        for (row, sums) in rows.clone().zip(sums.chunks_exact(columns.len())) {
            let targets = &mut result[row * taps + columns.start..row * taps + columns.end];
            targets.iter_mut().zip(sums).for_each(|(target, &sum)| *target += sum);
        }
    }
    result
}

/// How input and gradient lie in memory, in pixels.
pub(super) struct Views {
    /// Of each tap, in the input, in rising order.
    pub(super) offsets: Vec<usize>,
    /// (In the input, in the gradient), of one sample, a vector each, in rising order.
    pub(super) spots: Vec<(usize, usize)>,
    pub(super) samples: usize,
    /// From sample to sample.
    pub(super) input_step: usize,
    /// From sample to sample.
    pub(super) grad_step: usize,
    /// From output channel to output channel.
    pub(super) grad_plane: usize,
}

impl Views {
    /// `[rows, taps]`: the sums over samples and some spots of gradient times input, with `grad` from the first row on.
    ///
    /// # Panics
    /// If a load would leave the input or the gradient.
    fn sums<T: Element, A: Arithmetic<T>>(
        &self,
        level: Level,
        spots: Range<usize>,
        input: &[A::Pixel],
        grad: &[A::Pixel],
        taps: Range<usize>,
        rows: usize,
    ) -> Vec<T> {
        let mut sums = vec![T::zero(); rows * taps.len()];
        let (spots, offsets) = (&self.spots[spots], &self.offsets[taps]);
        let (Some(&(last_input, last_grad)), Some(&last_tap)) = (spots.last(), offsets.last()) else { return sums };
        let (step, last_sample) = (A::pixels(level.lanes::<T>()), self.samples - 1);
        let input_end = last_sample * self.input_step + last_input + last_tap + step;
        let grad_end = last_sample * self.grad_step + rows.saturating_sub(1) * self.grad_plane + last_grad + step;
        assert!(input_end <= input.len(), "a load would leave the input");
        assert!(grad_end <= grad.len(), "a load would leave the gradient");
        run(level, Unit::<T, A> { views: self, spots, input, grad, offsets, rows, sums: &mut sums });
        sums
    }
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
    let groups = groups(rows, views.offsets.len());
    let parts = UNITS.div_ceil(groups.len().max(1)).min(views.spots.len().div_ceil(VECTORS_A_PASS));
    let sums = (0..groups.len() * parts).into_par_iter().map(|unit| {
        let ((rows, taps), part) = (&groups[unit / parts], unit % parts);
        let spots = part * views.spots.len() / parts..(part + 1) * views.spots.len() / parts;
        let grad = &grad[rows.start * views.grad_plane..];
        views.sums::<T, A>(level, spots, input, grad, taps.clone(), rows.len())
    });
    add_up(sums.collect(), &groups, parts, channels, views.offsets.len())
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
        // SAFETY: vectors of this level; `Views::sums` has checked that the last spot of the last sample, tap and row is
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
