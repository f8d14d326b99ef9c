//! What a convolution multiplies: the operands as they are, or rounded to bf16.
//!
//! A product of bf16 numbers is exact in f32. Processors with AVX512-BF16 add two products to each lane of a vector at once,
//! the second element's first, rounding after each addition and taking subnormal numbers for zero; elsewhere the same is
//! done step by step, to the same bits.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::activation::ELEMENTS_A_JOB;
use crate::element::Element;
use crate::simd::Vector;

/// How exact the operands of multiplications are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// The operands as they are.
    #[default]
    Full,
    /// Operands rounded to bf16 (8 bits of mantissa), sums in f32; f32 tensors only. Everything between the multiplications
    /// (normalisation, activations, losses, parameters) stays f32.
    Bf16,
    /// Operands rounded to TF32 (10 bits of mantissa) by the tensor cores of an NVIDIA GPU, sums in f32; f32 tensors on such a
    /// device only.
    Tf32,
}

/// The arithmetic of a [`Precision`] on elements of type `T`.
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

/// [`Precision::Full`].
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

/// [`Precision::Bf16`]: pairs of bf16, the first in the lower half of an element.
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

/// The bits of the bf16 number nearest to `value`, halves to even; NaN stays NaN.
#[inline(always)]
fn nearest(value: f32) -> u32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    if value.is_nan() { (bits >> 16) | 0x40 } else { rounded }
}

/// One lane of [`Vector::add_pair_products`], as the instruction does it.
#[inline(always)]
pub(crate) fn add_pair_products(sum: f32, a: f32, b: f32) -> f32 {
    let flushed = |x: f32| if x.abs() < f32::MIN_POSITIVE { 0f32.copysign(x) } else { x };
    let first = |x: f32| flushed(f32::from_bits(x.to_bits() << 16));
    let second = |x: f32| flushed(f32::from_bits(x.to_bits() & 0xffff_0000));
    let sum = flushed(second(a).mul_add(second(b), flushed(sum)));
    flushed(first(a).mul_add(first(b), sum))
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

    #[test]
    fn pairs_add_two_products() {
        let (a, b) = (Bf16::combine(2.0, 3.0), Bf16::combine(5.0, 7.0));
        assert_eq!(add_pair_products(1.0, a, b), 32.0);
    }
}
