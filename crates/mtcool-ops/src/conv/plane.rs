//! Copies of planes with a margin of zeros, so that vector loads need no special cases at the edges: either of all planes
//! at once, or of a window of some rows that stays in a thread's cache.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::input::Input;
use crate::arithmetic::Arithmetic;
use crate::element::Element;
use crate::memory::{initialised, room_of};
use crate::simd::{Kernel, Level, Vector, run};

/// Elements after the planes that a vector load may read: at least a vector of the smallest elements.
pub(super) const SLACK: usize = 64;
/// The least number of planes of a job.
const PLANES_A_JOB: usize = 4;

/// How planes lie in memory, in elements.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    /// Height of the image.
    pub(super) height: usize,
    /// Width of the image.
    pub(super) width: usize,
    /// Width of the margin of zeros on every side of the image.
    pub(super) margin: usize,
    /// Distance from one row to the next: at least the width and both margins.
    pub(super) pitch: usize,
}

impl Frame {
    /// The closest pitch that the margins allow.
    pub(super) fn new(height: usize, width: usize, margin: usize) -> Self {
        Self { height, width, margin, pitch: width + 2 * margin }
    }

    /// Writes `rows`, counted with the margins, of a plane, and zeros behind them: every element of `target`, if `write`
    /// writes the whole of each row of the image that it is called with.
    fn fill<E: Copy + Default>(
        self,
        rows: Range<usize>,
        target: &mut [MaybeUninit<E>],
        mut write: impl FnMut(usize, &mut [MaybeUninit<E>]),
    ) {
        let zero = MaybeUninit::new(E::default());
        let Self { height, width, margin, pitch } = self;
        let (inside, behind) = target.split_at_mut(rows.len() * pitch);
        for (y, row) in rows.zip(inside.chunks_exact_mut(pitch)) {
            match y.checked_sub(margin).filter(|&y| y < height) {
                Some(y) => {
                    row[..margin].fill(zero);
                    write(y, &mut row[margin..margin + width]);
                    row[margin + width..].fill(zero);
                }
                None => row.fill(zero),
            }
        }
        behind.fill(zero);
    }
}

/// A window of some rows of one sample: consecutive planes of `plane` elements, then some zeros.
pub(super) struct Window {
    pub(super) sample: usize,
    /// The rows, counted with the margins.
    pub(super) rows: Range<usize>,
    /// Distance between planes, in elements: at least the elements of the rows.
    pub(super) plane: usize,
}

impl Window {
    /// Planes whose elements hold as many channels as the arithmetic multiplies at once.
    pub(super) fn by_channel<T: Element, A: Arithmetic<T>>(
        &self,
        input: &Input<'_, T>,
        frame: Frame,
        data: &mut Vec<T>,
    ) {
        let mut buffer = vec![T::zero(); 2 * frame.width];
        self.fill(frame, input.channels().div_ceil(A::DEPTH), data, |plane, y, target| {
            let (channel, row) = (plane * A::DEPTH, y * frame.width..(y + 1) * frame.width);
            if A::DEPTH == 1 {
                return input.read(self.sample, channel, row, target);
            }
            let (first, second) = buffer.split_at_mut(frame.width);
            let first = input.row(self.sample, channel, row.clone(), first);
            let second = if channel + 1 < input.channels() {
                input.row(self.sample, channel + 1, row, second)
            } else {
                second.fill(T::zero());
                second
            };
            run(Level::best(), Combine::<T, A> { first, second, target, arithmetic: PhantomData });
        });
    }

    /// Planes of the `channels`, stored as pixels of the arithmetic.
    pub(super) fn by_pixel<T: Element, A: Arithmetic<T>>(
        &self,
        input: &Input<'_, T>,
        frame: Frame,
        channels: Range<usize>,
        data: &mut Vec<A::Pixel>,
    ) {
        let mut buffer = vec![T::zero(); frame.width];
        self.fill(frame, channels.len(), data, |plane, y, target| {
            let range = y * frame.width..(y + 1) * frame.width;
            let row = input.row(self.sample, channels.start + plane, range, &mut buffer);
            run(Level::best(), Store::<T, A> { row, target });
        });
    }

    fn fill<E: Copy + Default>(
        &self,
        frame: Frame,
        planes: usize,
        data: &mut Vec<E>,
        mut write: impl FnMut(usize, usize, &mut [MaybeUninit<E>]),
    ) {
        data.resize(planes * self.plane + SLACK, E::default());
        let (inside, behind) = data.split_at_mut(planes * self.plane);
        for (plane, target) in inside.chunks_exact_mut(self.plane).enumerate() {
            // SAFETY: `Frame::fill` and the kernels behind `write` write values only.
            let target = unsafe { room_of(target) };
            frame.fill(self.rows.clone(), target, |y, row| write(plane, y, row));
        }
        behind.fill(E::default());
    }
}

/// `[B, C, H + 2 margin, pitch]` with zeros around each plane and after it, in one allocation.
pub(super) struct Planes<E> {
    pub(super) data: Vec<E>,
    /// Elements from one channel to the next.
    pub(super) plane: usize,
}

impl<E: Copy + Default + Send + Sync> Planes<E> {
    /// All planes of `input`, stored as pixels of the arithmetic.
    pub(super) fn by_pixel<T: Element, A: Arithmetic<T, Pixel = E>>(input: &Input<'_, T>, frame: Frame) -> Self {
        let (channels, width, rows) = (input.channels(), frame.width, frame.height + 2 * frame.margin);
        let plane = rows * frame.pitch + SLACK;
        let write = |data: &mut [MaybeUninit<E>]| {
            let targets = data.par_chunks_mut(plane).enumerate().with_min_len(PLANES_A_JOB);
            targets.for_each_init(
                || vec![T::zero(); width],
                |buffer, (at, target)| {
                    frame.fill(0..rows, target, |y, target| {
                        let row = input.row(at / channels, at % channels, y * width..(y + 1) * width, buffer);
                        run(Level::best(), Store::<T, A> { row, target });
                    });
                },
            );
        };
        // SAFETY: the length is a multiple of a plane's; `Frame::fill` writes each plane whole, since `Store` writes a
        // row of the image whole.
        let data = unsafe { initialised(input.batch() * channels * plane, write) };
        Self { data, plane }
    }
}

/// Combines the rows of two channels into one row. A plain loop: inside [`run`] the compiler uses the level's vectors for it.
struct Combine<'a, T, A> {
    first: &'a [T],
    second: &'a [T],
    target: &'a mut [MaybeUninit<T>],
    arithmetic: PhantomData<A>,
}

impl<T: Element, A: Arithmetic<T>> Kernel<T> for Combine<'_, T, A> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        for ((target, &first), &second) in self.target.iter_mut().zip(self.first).zip(self.second) {
            target.write(A::combine(first, second));
        }
    }
}

/// Converts a row to pixels of the arithmetic; a plain loop as well.
struct Store<'a, T: Element, A: Arithmetic<T>> {
    row: &'a [T],
    target: &'a mut [MaybeUninit<A::Pixel>],
}

impl<T: Element, A: Arithmetic<T>> Kernel<T> for Store<'_, T, A> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        for (target, &value) in self.target.iter_mut().zip(self.row) {
            target.write(A::pixel(value));
        }
    }
}
