//! Two rows as one with their elements in turn, and back: what lies between a 1x1 convolution and 2x2 tiles.

use std::mem::MaybeUninit;

use crate::element::Element;
use crate::simd::{Kernel, Vector};

/// Interleaves two rows: one element of each in turn, plus the bias. A plain loop: inside [`run`](crate::simd::run) the compiler uses the
/// level's vectors for it.
pub(super) struct Interleave<'a, T> {
    pub(super) first: &'a [T],
    pub(super) second: &'a [T],
    pub(super) bias: T,
    pub(super) target: &'a mut [MaybeUninit<T>],
}

impl<T: Element> Kernel<T> for Interleave<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        let pairs = self.target.chunks_exact_mut(2).zip(self.first.iter().zip(self.second));
        for (target, (&first, &second)) in pairs {
            target[0].write(first + self.bias);
            target[1].write(second + self.bias);
        }
    }
}

/// The inverse of [`Interleave`], without the bias.
pub(super) struct Separate<'a, T> {
    pub(super) source: &'a [T],
    pub(super) first: &'a mut [MaybeUninit<T>],
    pub(super) second: &'a mut [MaybeUninit<T>],
}

impl<T: Element> Kernel<T> for Separate<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        let pairs = self.source.chunks_exact(2).zip(self.first.iter_mut().zip(self.second));
        for (source, (first, second)) in pairs {
            first.write(source[0]);
            second.write(source[1]);
        }
    }
}
