//! Sample planes with room around them, so that vector loads need no edge cases: all of them at once, or a window of some
//! rows that stays in a thread's cache.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::input::Input;
use crate::arithmetic::Arithmetic;
use crate::element::Element;
use crate::memory::{initialised, room_of};
use crate::simd::{Kernel, Level, Vector, run};

/// Elements behind planes that a vector load may touch; at least a vector of the smallest elements.
pub(super) const SLACK: usize = 64;
/// Planes a thread takes at a time, at least.
const PLANES_A_JOB: usize = 4;

/// How planes lie in memory, in elements.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    /// Of the image.
    pub(super) height: usize,
    /// Of the image.
    pub(super) width: usize,
    /// Zeros on every side of it.
    pub(super) margin: usize,
    /// From one row to the next: at least the width and both margins.
    pub(super) pitch: usize,
}

impl Frame {
    /// Rows as close as the margins allow.
    pub(super) fn new(height: usize, width: usize, margin: usize) -> Self {
        Self { height, width, margin, pitch: width + 2 * margin }
    }

    /// Writes `rows`, counted with the margins, of a plane, and zeros behind them: every element of `target`, if `write` writes
    /// the whole of each row of the image that it is called with.
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

/// A window of some rows of one sample: planes of `plane` elements one behind the other, and some zeros.
pub(super) struct Window {
    pub(super) sample: usize,
    /// Counted with the margins.
    pub(super) rows: Range<usize>,
    /// Elements from plane to plane, at least those of the rows.
    pub(super) plane: usize,
}

impl Window {
    /// Planes with as many channels in an element as the arithmetic multiplies at once.
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
            let second = match channel + 1 < input.channels() {
                true => input.row(self.sample, channel + 1, row, second),
                false => {
                    second.fill(T::zero());
                    second
                }
            };
            run(Level::best(), Combine::<T, A> { first, second, target, arithmetic: PhantomData });
        });
    }

    /// Planes of the `channels` with neighbouring pixels beside each other.
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

/// `[B, C, H + 2 margin, pitch]` with zeros around and between, and some behind each plane; one allocation.
pub(super) struct Planes<E> {
    pub(super) data: Vec<E>,
    /// Elements from one channel to the next.
    pub(super) plane: usize,
}

impl<E: Copy + Default + Send + Sync> Planes<E> {
    /// `input` with neighbouring pixels beside each other, as the arithmetic stores them.
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
        // SAFETY: the length is a multiple of a plane's; `Frame::fill` writes each plane whole, since `Store` writes a row of the
        // image whole.
        let data = unsafe { initialised(input.batch() * channels * plane, write) };
        Self { data, plane }
    }
}

/// Two channels' rows into one. A plain loop: inside [`run`] the compiler has the level's vectors for it.
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

/// A row as pixels; plain as well.
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
