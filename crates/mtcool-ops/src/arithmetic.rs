//! The operands of a convolution's multiplications: as they are, or rounded to bf16.
//!
//! The product of two bf16 numbers is exact in f32. Processors with AVX512-BF16 add two products to each lane of a vector at once,
//! the second element's first, rounding after each addition and taking subnormal numbers for zero; elsewhere the same is
//! done step by step, to the same bits.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::bf16::nearest;
use crate::jobs::ELEMENTS_A_JOB;
use crate::simd::{Element, Vector};

/// The arithmetic of a [`Precision`](crate::Precision) on elements of type `T`.
pub(crate) trait Arithmetic<T: Element>: Copy + Send + Sync + 'static {
    /// Channels that one element of a packed plane holds.
    const DEPTH: usize;
    /// A pixel where neighbouring pixels, not channels, are multiplied together.
    type Pixel: Copy + Default + Send + Sync;

    /// The operand nearest to `value`.
    fn round(value: T) -> T;
    /// `DEPTH` channels in one element; with a depth of 1, the first.
    fn combine(first: T, second: T) -> T;
    fn pixel(value: T) -> Self::Pixel;
    /// `map` as pixels, if they need no conversion.
    fn as_pixels(map: &[T]) -> Option<&[Self::Pixel]>;
    /// `sum` and the products of what `a` and `b` hold.
    ///
    /// # Safety
    /// As [`Vector`].
    unsafe fn add_product<V: Vector<Element = T>>(sum: V, a: V, b: V) -> V;

    /// Pixels that a vector of `lanes` elements holds.
    fn pixels(lanes: usize) -> usize {
        lanes * size_of::<T>() / size_of::<Self::Pixel>()
    }
}

/// [`Precision::Full`](crate::Precision::Full).
#[derive(Clone, Copy)]
pub(crate) struct Exact;

impl<T: Element> Arithmetic<T> for Exact {
    const DEPTH: usize = 1;
    type Pixel = T;

    #[inline(always)]
    fn round(value: T) -> T {
        value
    }

    #[inline(always)]
    fn combine(first: T, _second: T) -> T {
        first
    }

    #[inline(always)]
    fn pixel(value: T) -> T {
        value
    }

    fn as_pixels(map: &[T]) -> Option<&[T]> {
        Some(map)
    }

    #[inline(always)]
    unsafe fn add_product<V: Vector<Element = T>>(sum: V, a: V, b: V) -> V {
        // SAFETY: the caller's promise.
        unsafe { sum.add_product(a, b) }
    }
}

/// [`Precision::Bf16`](crate::Precision::Bf16): pairs of bf16, the first in the lower half of an element.
#[derive(Clone, Copy)]
pub(crate) struct Bf16;

impl Arithmetic<f32> for Bf16 {
    const DEPTH: usize = 2;
    type Pixel = u16;

    #[inline(always)]
    fn round(value: f32) -> f32 {
        f32::from_bits(nearest(value) << 16)
    }

    #[inline(always)]
    fn combine(first: f32, second: f32) -> f32 {
        f32::from_bits(nearest(first) | nearest(second) << 16)
    }

    #[inline(always)]
    fn pixel(value: f32) -> u16 {
        nearest(value) as u16
    }

    fn as_pixels(_map: &[f32]) -> Option<&[u16]> {
        None
    }

    #[inline(always)]
    unsafe fn add_product<V: Vector<Element = f32>>(sum: V, a: V, b: V) -> V {
        // SAFETY: the caller's promise.
        unsafe { sum.add_pair_products(a, b) }
    }
}

/// The operands nearest to `values`.
pub(crate) fn rounded<T: Element, A: Arithmetic<T>>(values: Cow<'_, [T]>) -> Cow<'_, [T]> {
    match A::DEPTH {
        1 => values,
        _ => Cow::Owned(values.par_iter().with_min_len(ELEMENTS_A_JOB).map(|&value| A::round(value)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_goes_to_the_nearest_and_halves_to_even() {
        let ulp = 2f32.powi(-7);
        assert_eq!(Bf16::round(1.0 + 0.5 * ulp), 1.0);
        assert_eq!(Bf16::round(1.0 + 1.5 * ulp), 1.0 + 2.0 * ulp);
        assert_eq!(Bf16::round(1.0 + 0.51 * ulp), 1.0 + ulp);
        assert_eq!(Bf16::round(-3.0), -3.0);
        assert_eq!(Bf16::round(f32::INFINITY), f32::INFINITY);
        assert_eq!(Bf16::round(f32::MAX), f32::INFINITY);
        assert!(Bf16::round(f32::from_bits(0xffff_ffff)).is_nan());
        assert!(Bf16::round(f32::from_bits(0x7f80_0001)).is_nan());
    }
}
