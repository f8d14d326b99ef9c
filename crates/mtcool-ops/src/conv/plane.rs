//! Sample planes with room around them, so that vector loads need no edge cases.

use rayon::prelude::*;

use super::input::Input;
use crate::arithmetic::Arithmetic;
use crate::element::Element;
use crate::memory::written;
use crate::simd::{Kernel, Level, Vector, run};

/// Elements behind a plane that a vector load may touch; at least a vector of the smallest elements.
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
}

/// `[B, C, H + 2 margin, pitch]` with zeros around and between, and some behind each plane; one allocation.
pub(super) struct Planes<E> {
    pub(super) data: Vec<E>,
    /// Elements from one row to the next.
    pub(super) pitch: usize,
    /// Elements from one channel to the next.
    pub(super) plane: usize,
}

impl<E: Copy + Default + Send + Sync> Planes<E> {
    /// `input` with as many channels in an element as the arithmetic multiplies at once: `[B, ceil(C / DEPTH), ...]`.
    pub(super) fn by_channel<A: Arithmetic<E>>(input: &Input<'_, E>, frame: Frame) -> Self
    where
        E: Element,
    {
        let (channels, width) = (input.channels(), frame.width);
        let elements = channels.div_ceil(A::DEPTH);
        let buffers = || [vec![E::zero(); width], vec![E::zero(); width]];
        Self::fill(input.batch() * elements, frame, buffers, |[first, second], plane, y, target| {
            let (sample, channel) = (plane / elements, plane % elements * A::DEPTH);
            let row = y * width..(y + 1) * width;
            if A::DEPTH == 1 {
                return input.read(sample, channel, row, target);
            }
            input.read(sample, channel, row.clone(), first);
            match channel + 1 < channels {
                true => input.read(sample, channel + 1, row, second),
                false => second.fill(E::zero()),
            }
            run(Level::best(), Combine::<E, A> { first, second, target, arithmetic: std::marker::PhantomData });
        })
    }

    /// `input` with neighbouring pixels beside each other, as the arithmetic stores them.
    pub(super) fn by_pixel<T: Element, A: Arithmetic<T, Pixel = E>>(input: &Input<'_, T>, frame: Frame) -> Self {
        let (channels, width) = (input.channels(), frame.width);
        Self::fill(
            input.batch() * channels,
            frame,
            || vec![T::zero(); width],
            |row, plane, y, target| {
                input.read(plane / channels, plane % channels, y * width..(y + 1) * width, row);
                run(Level::best(), Store::<T, A> { row, target });
            },
        )
    }

    /// Planes whose rows `fill` writes, given a thread's buffer, a plane, a row of the image and its place.
    fn fill<S>(
        planes: usize,
        frame: Frame,
        buffer: impl Fn() -> S + Sync + Send,
        fill: impl Fn(&mut S, usize, usize, &mut [E]) + Sync + Send,
    ) -> Self {
        let Frame { height, width, margin, pitch } = frame;
        let plane = (height + 2 * margin) * pitch + SLACK;
        let write = |data: &mut [E]| {
            let targets = data.par_chunks_mut(plane).enumerate().with_min_len(PLANES_A_JOB);
            targets.for_each_init(buffer, |buffer, (at, target)| {
                target.fill(E::default());
                let rows = target[margin * pitch..].chunks_mut(pitch).take(height);
                rows.enumerate().for_each(|(y, row)| fill(buffer, at, y, &mut row[margin..margin + width]));
            });
        };
        // SAFETY: every plane is filled with zeros first.
        let data = unsafe { written(planes * plane, write) };
        Self { data, pitch, plane }
    }
}

/// Two channels' rows into one. A plain loop: inside [`run`] the compiler has the level's vectors for it.
struct Combine<'a, T, A> {
    first: &'a [T],
    second: &'a [T],
    target: &'a mut [T],
    arithmetic: std::marker::PhantomData<A>,
}

impl<T: Element, A: Arithmetic<T>> Kernel<T> for Combine<'_, T, A> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        for ((target, &first), &second) in self.target.iter_mut().zip(self.first).zip(self.second) {
            *target = A::combine(first, second);
        }
    }
}

/// A row as pixels; plain as well.
struct Store<'a, T: Element, A: Arithmetic<T>> {
    row: &'a [T],
    target: &'a mut [A::Pixel],
}

impl<T: Element, A: Arithmetic<T>> Kernel<T> for Store<'_, T, A> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        for (target, &value) in self.target.iter_mut().zip(self.row) {
            *target = A::pixel(value);
        }
    }
}
