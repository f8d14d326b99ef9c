//! Convolutions of stride 1 without a patch matrix: vectors of neighbouring pixels, loaded once for each tap, shifted by
//! the tap's offset.
//!
//! A tile of six kernel rows by four pixel vectors of sums stays in registers during the loop over the taps; a tap costs
//! four loads of pixels, six broadcasts of weights and 24 fused multiply-adds. The gradient of the input is a convolution
//! of the output's gradient with the kernel turned by 180 degrees.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::input::Input;
use super::plane::{Frame, Window};
use crate::arithmetic::Arithmetic;
use crate::element::Element;
use crate::geometry::Geometry;
use crate::memory::initialised_all;
use crate::settings::Activation;
use crate::simd::{Kernel, Level, Vector, WIDEST, run};

/// Kernel rows of a tile.
pub(super) const TILE_ROWS: usize = 6;
/// Pixel vectors, or taps, of a tile.
pub(super) const TILE_COLUMNS: usize = 4;
/// Pixel vectors that share a block of weights before the next block is taken.
const SPOTS_A_BLOCK: usize = 32;
/// Number of units of work of a batch, if it has that many rows. A constant, so that results cannot depend on the number
/// of threads.
const UNITS: usize = 32;
/// The least number of output elements of a channel in a unit of work: two tiles of the widest vectors.
const LEAST_ELEMENTS_A_UNIT: usize = 2 * TILE_COLUMNS * 16;

/// Whether the functions of this file can compute a convolution of sizes `g`.
pub(super) fn applies(g: &Geometry) -> bool {
    g.stride == 1 && g.batch * g.out_pixels() > 0 && g.taps() > 0 && g.out_channels > 0
}

/// `activation(x * kernel + bias)`, `[B, O, oh, ow]`.
pub(super) fn forward<T: Element, A: Arithmetic<T>>(
    level: Level,
    g: &Geometry,
    x: &Input<'_, T>,
    kernel: &[T],
    bias: Option<&[T]>,
    activation: Activation,
) -> Vec<T> {
    let weights = Packed::new::<A>(g.out_channels, g.in_channels, g.kernel_h * g.kernel_w, |row, channel, at| {
        kernel[row * g.taps() + channel * g.kernel_h * g.kernel_w + at]
    });
    convolve::<T, A>(level, g, x, &weights, &[g.out_channels], bias, activation).swap_remove(0)
}

/// Gradient of the input from that of the output, `[B, C_i, H, W]` for each of `parts` of the channels; `None` if the padding
/// reaches further than the kernel.
pub(super) fn input_gradient<T: Element, A: Arithmetic<T>>(
    level: Level,
    g: &Geometry,
    kernel: &[T],
    grad: &[T],
    parts: &[Range<usize>],
) -> Option<Vec<Vec<T>>> {
    let reach = |side: usize| g.dilation * (side - 1);
    let margin = reach(g.kernel_h) as isize - g.padding as isize;
    if g.kernel_h != g.kernel_w || margin < 0 {
        return None;
    }
    // The roles change: gradients of output channels are the input, gradients of input channels the output, and the
    // kernel is turned by 180 degrees.
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
    let channels: Vec<usize> = parts.iter().cloned().flatten().collect();
    let turned = Geometry { out_channels: channels.len(), ..turned };
    let weights = Packed::new::<A>(channels.len(), g.out_channels, window, |row, channel, at| {
        kernel[(channel * g.in_channels + channels[row]) * window + window - 1 - at]
    });
    let grad = Input::new(grad, g.out_channels, g.out_pixels());
    let parts: Vec<usize> = parts.iter().map(ExactSizeIterator::len).collect();
    Some(convolve::<T, A>(level, &turned, &grad, &weights, &parts, None, Activation::Identity))
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
    /// `weight` is asked for (row, channel, place in the window).
    pub(super) fn new<A: Arithmetic<T>>(
        rows: usize,
        channels: usize,
        window: usize,
        weight: impl Fn(usize, usize, usize) -> T + Sync,
    ) -> Self {
        let (blocks, taps) = (row_blocks(0..rows), channels.div_ceil(A::DEPTH) * window);
        let mut data = vec![T::zero(); rows * taps];
        let mut rest = &mut data[..];
        let mut parts = Vec::with_capacity(blocks.len());
        for block in &blocks {
            let (part, behind) = rest.split_at_mut(block.len() * taps);
            parts.push((block, part));
            rest = behind;
        }
        parts.into_par_iter().for_each(|(block, part)| {
            for (channel, windows) in part.chunks_exact_mut(block.len() * window).enumerate() {
                let channel = channel * A::DEPTH;
                let has_second = A::DEPTH > 1 && channel + 1 < channels;
                // In the source, the window of a row is contiguous.
                for (place, row) in block.clone().enumerate() {
                    for at in 0..window {
                        let second = if has_second { weight(row, channel + 1, at) } else { T::zero() };
                        windows[at * block.len() + place] = A::combine(weight(row, channel, at), second);
                    }
                }
            }
        });
        Self { data, blocks, taps }
    }
}

/// A vector of output pixels: the offsets, in elements, of what it is computed from and where it is stored.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) lanes: usize,
}

/// A tap of the kernel: where it reads, as an offset from a spot's input, and the index of its weights.
#[derive(Clone, Copy)]
pub(super) struct Tap {
    pub(super) offset: usize,
    pub(super) index: usize,
}

/// The taps that are applied to the same spots.
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

/// The distance of each of the `[C, kh, kw]` taps from the first, in elements of the input, whose channels, rows and
/// columns are `channel`, `row` and `column` elements apart.
pub(super) fn tap_offsets(g: &Geometry, channels: usize, channel: usize, row: usize, column: usize) -> Vec<usize> {
    let taps =
        (0..channels).flat_map(|c| (0..g.kernel_h).flat_map(move |ky| (0..g.kernel_w).map(move |kx| (c, ky, kx))));
    taps.map(|(c, ky, kx)| c * channel + ky * g.dilation * row + kx * g.dilation * column).collect()
}

/// A convolution with one output for each of `parts`, the numbers of channels of the outputs.
fn convolve<T: Element, A: Arithmetic<T>>(
    level: Level,
    g: &Geometry,
    x: &Input<'_, T>,
    weights: &Packed<T>,
    parts: &[usize],
    bias: Option<&[T]>,
    activation: Activation,
) -> Vec<Vec<T>> {
    let lanes = level.lanes::<T>();
    let channels = g.in_channels.div_ceil(A::DEPTH);
    let frame = Frame::new(g.height, g.width, g.padding);
    let job = Job { samples: g.batch, out_h: g.out_h, parts, plane: g.out_pixels(), weights, bias, activation };
    // Without padding, and with rows of at least a vector, no load leaves the input: the last vector of a row is moved
    // back so that it ends with the row, and a few pixels are computed twice. Otherwise each unit of work copies the rows
    // that it reads, with padding.
    let in_place = x.as_slice().filter(|_| A::DEPTH == 1 && g.padding == 0 && g.out_w >= lanes);
    let reach = (g.kernel_h - 1) * g.dilation;
    let plane = match in_place {
        Some(_) => g.height * g.width,
        None => (job.rows_a_unit() + reach) * frame.pitch,
    };
    let offsets = tap_offsets(g, channels, plane, frame.pitch, 1);
    let taps = Taps::new(offsets.into_iter().enumerate().map(|(index, offset)| Tap { offset, index }).collect());
    job.run::<A>(level, |data, sample, rows, unit| {
        let (first, input) = match in_place {
            Some(map) => (0, &map[sample * channels * plane..]),
            None => {
                let window = Window { sample, rows: rows.start..rows.end + reach, plane };
                window.by_channel::<T, A>(x, frame, data);
                (rows.start, &data[..])
            }
        };
        let row_of_spots = |y: usize| {
            (0..g.out_w).step_by(lanes).map(move |x| {
                let x = if g.out_w < lanes { 0 } else { x.min(g.out_w - lanes) };
                Spot { input: (y - first) * frame.pitch + x, output: y * g.out_w + x, lanes: lanes.min(g.out_w) }
            })
        };
        let spots: Vec<Spot> = rows.flat_map(row_of_spots).collect();
        unit(input, &taps, &spots);
    })
}

/// A convolution that is described row by row.
pub(super) struct Job<'a, T> {
    pub(super) samples: usize,
    /// Rows of the output; a unit of work is some of them.
    pub(super) out_h: usize,
    /// Channels of each output.
    pub(super) parts: &'a [usize],
    /// Elements of an output channel; rows are equal parts of it, in order.
    pub(super) plane: usize,
    pub(super) weights: &'a Packed<T>,
    pub(super) bias: Option<&'a [T]>,
    pub(super) activation: Activation,
}

impl<T: Element> Job<'_, T> {
    /// Rows of a unit of work: at least a few tiles, so that none stays half empty and the weights are read for several.
    fn rows_a_unit(&self) -> usize {
        let least = LEAST_ELEMENTS_A_UNIT.div_ceil((self.plane / self.out_h).max(1));
        (self.samples * self.out_h).div_ceil(UNITS).max(least).clamp(1, self.out_h)
    }

    /// The outputs, `[samples, part, plane]` each. `work` is called for each sample and some of its rows, with a buffer
    /// of the thread. It calls its last argument with an input, taps and spots, as often as it takes to make every
    /// element of those rows a spot's output.
    ///
    /// # Panics
    /// If a spot reads beyond the input or writes outside its rows, or the spots, in their order, leave an element out.
    pub(super) fn run<A: Arithmetic<T>>(
        &self,
        level: Level,
        work: impl Fn(&mut Vec<T>, usize, Range<usize>, &mut dyn FnMut(&[T], &Taps, &[Spot])) + Sync,
    ) -> Vec<Vec<T>> {
        let (row_len, rows_a_unit) = (self.plane / self.out_h, self.rows_a_unit());
        let units_a_sample = self.out_h.div_ceil(rows_a_unit);
        let write = |outputs: &mut [&mut [MaybeUninit<T>]]| {
            let bases: Vec<Base<T>> = outputs.iter_mut().map(|output| Base(output.as_mut_ptr().cast())).collect();
            let units = (0..self.samples * units_a_sample).into_par_iter();
            units.for_each_init(Vec::new, |buffer, unit| {
                let (sample, first) = (unit / units_a_sample, unit % units_a_sample * rows_a_unit);
                let rows = first..(first + rows_a_unit).min(self.out_h);
                let own = rows.start * row_len..rows.end * row_len;
                let planes = self.parts.iter().zip(&bases).flat_map(|(&channels, base)| {
                    let first = sample * channels;
                    // SAFETY: the outputs have room for all samples and channels.
                    (first..first + channels).map(|plane| unsafe { base.get().add(plane * self.plane) })
                });
                let outputs: Vec<*mut T> = planes.collect();
                // Spots come in order: each has to begin where the elements before it end, or earlier.
                let mut done = own.start;
                work(buffer, sample, rows, &mut |input, taps, spots| {
                    for spot in spots {
                        let (reads, end) = (spot.input + taps.reach + level.lanes::<T>(), spot.output + spot.lanes);
                        assert!(reads <= input.len(), "a load would leave the input");
                        assert!(own.start <= spot.output && end <= own.end, "a store would leave the unit's rows");
                        assert!(spot.output <= done, "an element would be left out");
                        done = done.max(end);
                    }
                    let arithmetic = PhantomData::<A>;
                    let taps = &taps.list;
                    run(level, Forward { job: self, input, taps, spots, outputs: &outputs, arithmetic });
                });
                assert!(done == own.end, "rows would be left out");
            });
        };
        let lens: Vec<usize> = self.parts.iter().map(|channels| self.samples * channels * self.plane).collect();
        // SAFETY: the units' rows are all rows of all samples. The assertions have seen that a unit's spots, in their
        // order, leave no element of its rows out, and `Forward` writes every channel of each spot, through pointers, and
        // reads none.
        unsafe { initialised_all(&lens, write) }
    }
}

/// A pointer that several threads may use, since each of them writes different elements.
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
struct Forward<'a, T, A> {
    job: &'a Job<'a, T>,
    input: &'a [T],
    taps: &'a [Tap],
    spots: &'a [Spot],
    /// The planes of the sample's output, one for each channel.
    outputs: &'a [*mut T],
    arithmetic: PhantomData<A>,
}

impl<T: Element, A: Arithmetic<T>> Kernel<T> for Forward<'_, T, A> {
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

impl<T: Element, A: Arithmetic<T>> Forward<'_, T, A> {
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
                        sums[column] = A::add_product(sums[column], weight, pixels[column]);
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
                    let target = self.outputs[channel].add(spot.output);
                    if spot.lanes == V::LANES {
                        value.store(target);
                    } else {
                        let mut lanes = [T::zero(); WIDEST];
                        value.store(lanes.as_mut_ptr());
                        target.copy_from_nonoverlapping(lanes.as_ptr(), spot.lanes);
                    }
                }
            }
        }
    }
}
