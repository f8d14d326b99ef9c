//! Convolutions of stride 1 without a patch matrix: vectors of neighbouring pixels, each tap one load further on.
//!
//! A tile of six kernel rows by four pixel vectors stays in registers while the taps pass by; a tap costs four loads of
//! pixels, six broadcasts of weights and 24 fused multiply-adds. The input's gradient is the same kernel, turned around, on
//! the output's gradient.

use std::ops::Range;

use rayon::prelude::*;

use super::geometry::Geometry;
use super::plane::Planes;
use crate::activation::Activation;
use crate::element::Element;
use crate::simd::{Kernel, Level, Vector, run};

/// Kernel rows of a tile.
pub(super) const TILE_ROWS: usize = 6;
/// Pixel vectors, or taps, of a tile.
pub(super) const TILE_COLUMNS: usize = 4;
/// Pixel vectors that share a block of weights before the next block is taken.
const SPOTS_A_BLOCK: usize = 32;
/// Units of work of a batch, if it has that many rows; a constant, so that results cannot depend on the threads.
const UNITS: usize = 32;
/// Output elements of a channel in a unit of work, at least: two tiles of the widest vectors.
const LEAST_ELEMENTS_A_UNIT: usize = 2 * TILE_COLUMNS * 16;

/// Whether this file can do `g`.
pub(super) fn applies(g: &Geometry) -> bool {
    g.stride == 1 && g.batch * g.out_pixels() > 0 && g.taps() > 0 && g.out_channels > 0
}

/// `activation(x * kernel + bias)`, `[B, O, oh, ow]`.
pub(super) fn forward<T: Element>(
    level: Level,
    g: &Geometry,
    x: &[T],
    kernel: &[T],
    bias: Option<&[T]>,
    activation: Activation,
) -> Vec<T> {
    let weights = Packed::new(g.out_channels, g.taps(), |row, tap| kernel[row * g.taps() + tap]);
    convolve(level, g, x, g.padding as isize, &weights, bias, activation)
}

/// Gradient of the input, `[B, C, H, W]`; `None` if the padding reaches further than the kernel.
pub(super) fn input_gradient<T: Element>(level: Level, g: &Geometry, kernel: &[T], grad: &[T]) -> Option<Vec<T>> {
    let reach = |side: usize| g.dilation * (side - 1);
    let margin = reach(g.kernel_h) as isize - g.padding as isize;
    if g.kernel_h != g.kernel_w || margin < 0 {
        return None;
    }
    // Roles change: gradients of output channels come in, those of input channels go out, the kernel is turned around.
    let turned = Geometry {
        in_channels: g.out_channels,
        height: g.out_h,
        width: g.out_w,
        out_channels: g.in_channels,
        out_h: g.height,
        out_w: g.width,
        padding: margin as usize,
        ..*g
    };
    let window = g.kernel_h * g.kernel_w;
    let weights = Packed::new(g.in_channels, turned.taps(), |row, tap| {
        let (channel, at) = (tap / window, tap % window);
        kernel[(channel * g.in_channels + row) * window + window - 1 - at]
    });
    Some(convolve(level, &turned, grad, margin, &weights, None, Activation::Identity))
}

/// Weights in the order the tiles read them: block after block of at most [`TILE_ROWS`] rows, tap by tap within.
pub(super) struct Packed<T> {
    data: Vec<T>,
    blocks: Vec<Range<usize>>,
    taps: usize,
}

/// Cuts `rows` into the fewest blocks of at most [`TILE_ROWS`], as even as can be.
pub(super) fn row_blocks(rows: Range<usize>) -> Vec<Range<usize>> {
    let count = rows.len().div_ceil(TILE_ROWS);
    let at = |block: usize| rows.start + block * rows.len() / count.max(1);
    (0..count).map(|block| at(block)..at(block + 1)).collect()
}

impl<T: Element> Packed<T> {
    pub(super) fn new(rows: usize, taps: usize, weight: impl Fn(usize, usize) -> T + Sync) -> Self {
        let blocks = row_blocks(0..rows);
        let mut data = vec![T::zero(); rows * taps];
        let mut rest = &mut data[..];
        let mut parts = Vec::with_capacity(blocks.len());
        for block in &blocks {
            let (part, behind) = rest.split_at_mut(block.len() * taps);
            parts.push((block, part));
            rest = behind;
        }
        parts.into_par_iter().for_each(|(block, part)| {
            for (tap, weights) in part.chunks_exact_mut(block.len()).enumerate() {
                weights.iter_mut().zip(block.clone()).for_each(|(target, row)| *target = weight(row, tap));
            }
        });
        Self { data, blocks, taps }
    }
}

/// Where a vector of output pixels comes from and goes to, in elements.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) lanes: usize,
}

/// A tap of the kernel: where it reads, from a spot's input on, and which weights it reads with.
#[derive(Clone, Copy)]
pub(super) struct Tap {
    pub(super) offset: usize,
    pub(super) index: usize,
}

/// Taps that act together.
pub(super) struct Taps {
    list: Vec<Tap>,
    /// The largest offset.
    reach: usize,
}

impl Taps {
    pub(super) fn new(list: Vec<Tap>) -> Self {
        let reach = list.iter().map(|tap| tap.offset).max().unwrap_or(0);
        Self { list, reach }
    }
}

/// The distance of each tap from the first, in elements of the input: `[C, kh, kw]` taps that are `channel`, `row` and
/// `column` apart.
pub(super) fn tap_offsets(g: &Geometry, channel: usize, row: usize, column: usize) -> Vec<usize> {
    let taps =
        (0..g.in_channels).flat_map(|c| (0..g.kernel_h).flat_map(move |ky| (0..g.kernel_w).map(move |kx| (c, ky, kx))));
    taps.map(|(c, ky, kx)| c * channel + ky * g.dilation * row + kx * g.dilation * column).collect()
}

fn convolve<T: Element>(
    level: Level,
    g: &Geometry,
    x: &[T],
    margin: isize,
    weights: &Packed<T>,
    bias: Option<&[T]>,
    activation: Activation,
) -> Vec<T> {
    let lanes = level.lanes::<T>();
    // Without padding, and with rows of at least a vector, no load leaves the input: the last vector of a row is moved back
    // to end with the row, and computes a few pixels twice.
    let padded = (margin > 0 || g.out_w < lanes).then(|| Planes::new(x, g.height, g.width, margin as usize, 0));
    let (input, pitch, plane) = match &padded {
        Some(planes) => (&planes.data[..], planes.pitch, planes.plane),
        None => (x, g.width, g.height * g.width),
    };
    let offsets = tap_offsets(g, plane, pitch, 1);
    let taps = Taps::new(offsets.into_iter().enumerate().map(|(index, offset)| Tap { offset, index }).collect());
    let row_of_spots = |y: usize| {
        let starts = (0..g.out_w).step_by(lanes);
        starts.map(move |x| {
            let x = if g.out_w < lanes { 0 } else { x.min(g.out_w - lanes) };
            Spot { input: y * pitch + x, output: y * g.out_w + x, lanes: lanes.min(g.out_w) }
        })
    };
    let job = Job {
        samples: g.batch,
        out_h: g.out_h,
        channels: g.out_channels,
        plane: g.out_pixels(),
        weights,
        bias,
        activation,
    };
    job.run(level, |sample, rows, unit| {
        let spots: Vec<Spot> = rows.flat_map(row_of_spots).collect();
        unit(&input[sample * g.in_channels * plane..], &taps, &spots);
    })
}

/// A convolution whose work is told row by row.
pub(super) struct Job<'a, T> {
    pub(super) samples: usize,
    /// Rows of the output: what units of work are made of.
    pub(super) out_h: usize,
    pub(super) channels: usize,
    /// Elements of an output channel; rows are equal parts of it, in order.
    pub(super) plane: usize,
    pub(super) weights: &'a Packed<T>,
    pub(super) bias: Option<&'a [T]>,
    pub(super) activation: Activation,
}

impl<T: Element> Job<'_, T> {
    /// `[samples, channels, plane]`. For each sample and some of its rows, `work` calls its argument with (the input from the
    /// sample on, taps, spots) until every element of those rows has been a spot's output.
    pub(super) fn run(
        &self,
        level: Level,
        work: impl Fn(usize, Range<usize>, &mut dyn FnMut(&[T], &Taps, &[Spot])) + Sync,
    ) -> Vec<T> {
        let sample_len = self.channels * self.plane;
        let mut output = vec![T::zero(); self.samples * sample_len];
        let base = Base(output.as_mut_ptr());
        // At least a few tiles, so that none stays half empty and the weights are read for several.
        let least = LEAST_ELEMENTS_A_UNIT.div_ceil((self.plane / self.out_h).max(1));
        let rows_a_unit = (self.samples * self.out_h).div_ceil(UNITS).max(least).clamp(1, self.out_h);
        let units_a_sample = self.out_h.div_ceil(rows_a_unit);
        let row_len = self.plane / self.out_h;
        (0..self.samples * units_a_sample).into_par_iter().for_each(|unit| {
            let (sample, first) = (unit / units_a_sample, unit % units_a_sample * rows_a_unit);
            let rows = first..(first + rows_a_unit).min(self.out_h);
            let own = rows.start * row_len..rows.end * row_len;
            work(sample, rows, &mut |input, taps, spots| {
                for spot in spots {
                    assert!(
                        spot.input + taps.reach + level.lanes::<T>() <= input.len(),
                        "a load would leave the input"
                    );
                    assert!(
                        own.start <= spot.output && spot.output + spot.lanes <= own.end,
                        "a store would leave the unit's rows"
                    );
                }
                // SAFETY: `sample` is below the number of samples, for which the output has room.
                let output = unsafe { base.get().add(sample * sample_len) };
                run(level, Forward { job: self, input, taps: &taps.list, spots, output });
            });
        });
        output
    }
}

/// A pointer that threads may share: each writes other elements.
#[derive(Clone, Copy)]
struct Base<T>(*mut T);

// SAFETY: `Job::run` gives each unit rows of its own.
unsafe impl<T> Sync for Base<T> {}
// SAFETY: as above.
unsafe impl<T> Send for Base<T> {}

impl<T> Base<T> {
    fn get(self) -> *mut T {
        self.0
    }
}

/// Some spots of one sample.
struct Forward<'a, T> {
    job: &'a Job<'a, T>,
    input: &'a [T],
    taps: &'a [Tap],
    spots: &'a [Spot],
    /// The sample's output.
    output: *mut T,
}

impl<T: Element> Kernel<T> for Forward<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        for spots in self.spots.chunks(SPOTS_A_BLOCK) {
            for rows in &self.job.weights.blocks {
                for quad in spots.chunks(TILE_COLUMNS) {
                    // SAFETY: as this function; `rows` has at most TILE_ROWS rows.
                    unsafe {
                        match rows.len() {
                            1 => self.tile::<V, 1>(rows.start, quad),
                            2 => self.tile::<V, 2>(rows.start, quad),
                            3 => self.tile::<V, 3>(rows.start, quad),
                            4 => self.tile::<V, 4>(rows.start, quad),
                            5 => self.tile::<V, 5>(rows.start, quad),
                            _ => self.tile::<V, 6>(rows.start, quad),
                        }
                    }
                }
            }
        }
    }
}

impl<T: Element> Forward<'_, T> {
    /// `ROWS` output channels from `first` on, at up to four spots.
    #[inline(always)]
    unsafe fn tile<V: Vector<Element = T>, const ROWS: usize>(&self, first: usize, spots: &[Spot]) {
        let all = self.job.weights.taps;
        let weights = &self.job.weights.data[first * all..(first + ROWS) * all];
        // A missing spot repeats the last; its result is not stored.
        let mut sources = [self.input.as_ptr(); TILE_COLUMNS];
        for (column, source) in sources.iter_mut().enumerate() {
            // SAFETY: `Job::run` has checked that every spot's loads stay inside the input.
            *source = unsafe { source.add(spots[column.min(spots.len() - 1)].input) };
        }
        // SAFETY: vectors of this level; loads as above; weights hold ROWS elements a tap; stores go to this unit's rows.
        unsafe {
            let mut sums = [[V::splat(T::zero()); TILE_COLUMNS]; ROWS];
            for tap in self.taps {
                debug_assert!(tap.index < all);
                let weights = weights.as_ptr().add(tap.index * ROWS);
                let mut pixels = [V::splat(T::zero()); TILE_COLUMNS];
                for column in 0..TILE_COLUMNS {
                    pixels[column] = V::load(sources[column].add(tap.offset));
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let weight = V::splat(*weights.add(row));
                    for column in 0..TILE_COLUMNS {
                        sums[column] = sums[column].add_product(weight, pixels[column]);
                    }
                }
            }
            for (row, sums) in sums.iter().enumerate() {
                let channel = first + row;
                let bias = V::splat(self.job.bias.map_or(T::zero(), |bias| bias[channel]));
                for (spot, &sum) in spots.iter().zip(sums) {
                    let mut value = sum.add(bias);
                    if self.job.activation == Activation::Relu {
                        value = value.relu();
                    }
                    let target = self.output.add(channel * self.job.plane + spot.output);
                    if spot.lanes == V::LANES {
                        value.store(target);
                    } else {
                        let mut lanes = [T::zero(); 16];
                        value.store(lanes.as_mut_ptr());
                        target.copy_from_nonoverlapping(lanes.as_ptr(), spot.lanes);
                    }
                }
            }
        }
    }
}
