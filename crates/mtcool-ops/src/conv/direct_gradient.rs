//! The kernel's gradient for convolutions of stride 1, without a patch matrix.
//!
//! A tile of six kernel rows by four taps stays in registers while the pixels pass by. Each unit of work owns some rows and
//! taps and visits all pixels of all samples, so there are no partial sums between threads.

use std::ops::Range;

use rayon::prelude::*;

use super::direct::{TILE_COLUMNS, TILE_ROWS, row_blocks, tap_offsets};
use super::geometry::Geometry;
use super::plane::Planes;
use crate::element::Element;
use crate::simd::{Kernel, Level, Vector, run};

/// Taps of a unit of work.
const TAPS_A_UNIT: usize = 9 * TILE_COLUMNS;
/// Pixel vectors that pass by a tile before the next tile takes over, so that they are still in the cache.
const VECTORS_A_PASS: usize = 48;

/// Gradient of the kernel, `[O, C, kh, kw]`, zero outside `rows`.
pub(super) fn kernel_gradient<T: Element>(
    level: Level,
    g: &Geometry,
    x: &[T],
    grad: &[T],
    rows: Range<usize>,
) -> Vec<T> {
    let lanes = level.lanes::<T>();
    // Rows of whole vectors: pixels beyond the width have a gradient of zero.
    let pitch = g.out_w.next_multiple_of(lanes);
    let is_ragged = pitch != g.out_w;
    let padded = (g.padding > 0 || is_ragged).then(|| Planes::new(x, g.height, g.width, g.padding, 0));
    let ragged = is_ragged.then(|| Planes::new(grad, g.out_h, g.out_w, 0, pitch));
    let (input, input_pitch, input_plane) = match &padded {
        Some(planes) => (&planes.data[..], planes.pitch, planes.plane),
        None => (x, g.width, g.height * g.width),
    };
    let (grad, grad_plane) = match &ragged {
        Some(planes) => (&planes.data[..], planes.plane),
        None => (grad, g.out_pixels()),
    };
    let vectors_a_row = pitch / lanes;
    let spots = (0..g.out_h * vectors_a_row).map(|at| (at / vectors_a_row, at % vectors_a_row * lanes));
    let views = Views {
        offsets: tap_offsets(g, input_plane, input_pitch, 1),
        spots: spots.map(|(y, x)| (y * input_pitch + x, y * pitch + x)).collect(),
        samples: g.batch,
        input_step: g.in_channels * input_plane,
        grad_step: g.out_channels * grad_plane,
        grad_plane,
    };
    gradient_of_views(level, &views, input, grad, g.out_channels, rows)
}

/// How input and gradient lie in memory, in elements.
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
pub(super) fn gradient_of_views<T: Element>(
    level: Level,
    views: &Views,
    input: &[T],
    grad: &[T],
    channels: usize,
    rows: Range<usize>,
) -> Vec<T> {
    let (lanes, taps) = (level.lanes::<T>(), views.offsets.len());
    let mut result = vec![T::zero(); channels * taps];
    let (Some(&(last_input, last_grad)), Some(&last_tap)) = (views.spots.last(), views.offsets.last()) else {
        return result;
    };
    let last_sample = views.samples - 1;
    assert!(
        last_sample * views.input_step + last_input + last_tap + lanes <= input.len(),
        "a load would leave the input"
    );
    let last_grad = last_sample * views.grad_step + (channels - 1) * views.grad_plane + last_grad + lanes;
    assert!(last_grad <= grad.len() && rows.end <= channels, "a load would leave the gradient");
    let units: Vec<(Range<usize>, Range<usize>)> = row_blocks(rows)
        .into_iter()
        .flat_map(|block| {
            let starts = (0..taps).step_by(TAPS_A_UNIT);
            starts.map(move |start| (block.clone(), start..(start + TAPS_A_UNIT).min(taps)))
        })
        .collect();
    let sums = units.par_iter().map(|(rows, taps)| {
        let mut sums = vec![T::zero(); rows.len() * taps.len()];
        let grad = &grad[rows.start * views.grad_plane..];
        run(
            level,
            Unit { views, input, grad, offsets: &views.offsets[taps.clone()], rows: rows.len(), sums: &mut sums },
        );
        sums
    });
    let sums: Vec<Vec<T>> = sums.collect();
    for ((rows, columns), sums) in units.into_iter().zip(sums) {
        for (row, sums) in rows.zip(sums.chunks_exact(columns.len())) {
            result[row * taps + columns.start..row * taps + columns.end].copy_from_slice(sums);
        }
    }
    result
}

struct Unit<'a, T> {
    views: &'a Views,
    input: &'a [T],
    /// From the first sample's first of `rows` on.
    grad: &'a [T],
    /// Of the unit's taps.
    offsets: &'a [usize],
    rows: usize,
    /// `[rows, offsets]`.
    sums: &'a mut [T],
}

impl<T: Element> Kernel<T> for Unit<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(mut self) {
        let quads = self.offsets.len().div_ceil(TILE_COLUMNS);
        // Vector sums of every tile between its passes.
        let mut partial = vec![T::zero(); quads * TILE_ROWS * TILE_COLUMNS * V::LANES];
        let samples_a_pass = (VECTORS_A_PASS / self.views.spots.len()).max(1);
        for first in (0..self.views.samples).step_by(samples_a_pass) {
            let samples = first..(first + samples_a_pass).min(self.views.samples);
            for spots in self.views.spots.chunks(VECTORS_A_PASS) {
                for quad in 0..quads {
                    let partial = &mut partial[quad * TILE_ROWS * TILE_COLUMNS * V::LANES..]
                        [..TILE_ROWS * TILE_COLUMNS * V::LANES];
                    // SAFETY: as this function; there are at most TILE_ROWS rows.
                    unsafe {
                        match self.rows {
                            1 => self.pass::<V, 1>(quad, samples.clone(), spots, partial),
                            2 => self.pass::<V, 2>(quad, samples.clone(), spots, partial),
                            3 => self.pass::<V, 3>(quad, samples.clone(), spots, partial),
                            4 => self.pass::<V, 4>(quad, samples.clone(), spots, partial),
                            5 => self.pass::<V, 5>(quad, samples.clone(), spots, partial),
                            _ => self.pass::<V, 6>(quad, samples.clone(), spots, partial),
                        }
                    }
                }
            }
        }
        for (tile, lanes) in partial.chunks_exact(V::LANES).enumerate() {
            let (row, column) = (tile / TILE_COLUMNS % TILE_ROWS, tile % TILE_COLUMNS);
            let tap = tile / (TILE_ROWS * TILE_COLUMNS) * TILE_COLUMNS + column;
            if row < self.rows && tap < self.offsets.len() {
                // SAFETY: `lanes` is a vector long.
                self.sums[row * self.offsets.len() + tap] = unsafe { V::load(lanes.as_ptr()).sum() };
            }
        }
    }
}

impl<T: Element> Unit<'_, T> {
    /// Adds `samples` x `spots` to one tile's sums.
    #[inline(always)]
    unsafe fn pass<V: Vector<Element = T>, const ROWS: usize>(
        &mut self,
        quad: usize,
        samples: Range<usize>,
        spots: &[(usize, usize)],
        partial: &mut [T],
    ) {
        // A missing tap repeats the last; its sum is not used.
        let mut offsets = [0; TILE_COLUMNS];
        for (column, offset) in offsets.iter_mut().enumerate() {
            *offset = self.offsets[(quad * TILE_COLUMNS + column).min(self.offsets.len() - 1)];
        }
        // SAFETY: vectors of this level; `gradient_of_views` has checked that the last spot of the last sample, tap and row is
        // inside; `partial` holds TILE_ROWS x TILE_COLUMNS vectors.
        unsafe {
            let mut sums = [[V::splat(T::zero()); TILE_COLUMNS]; ROWS];
            for (row, sums) in sums.iter_mut().enumerate() {
                for (column, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(partial.as_ptr().add((row * TILE_COLUMNS + column) * V::LANES));
                }
            }
            for sample in samples {
                let input = self.input.as_ptr().add(sample * self.views.input_step);
                let grad = self.grad.as_ptr().add(sample * self.views.grad_step);
                for &(from, at) in spots {
                    let mut pixels = [V::splat(T::zero()); TILE_COLUMNS];
                    for column in 0..TILE_COLUMNS {
                        pixels[column] = V::load(input.add(from + offsets[column]));
                    }
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let gradient = V::load(grad.add(row * self.views.grad_plane + at));
                        for column in 0..TILE_COLUMNS {
                            sums[column] = sums[column].add_product(gradient, pixels[column]);
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
