//! What a kernel is written in terms of: elements, vectors of them, and loads and stores that stay inside a slice.

use std::mem::MaybeUninit;

use candle_core::WithDType;
use num_traits::{Float, Zero};

use crate::memory::room_of;

/// `f32` or `f64`.
pub(crate) trait Element: WithDType + num_traits::Float + std::iter::Sum + Default {
    /// A vector of them with AVX2.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Vector<Element = Self>;
    /// A vector of them with AVX-512.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Vector<Element = Self>;
    /// A vector of them with AVX-512 that multiplies pairs of bf16, if `Self` has room for pairs.
    #[cfg(target_arch = "x86_64")]
    type Avx512Bf16: Vector<Element = Self>;

    /// `self` and the products of the bf16 numbers that `a` and `b` hold; of a type that holds none, the product of both.
    fn add_pair_products(self, a: Self, b: Self) -> Self;
}

/// Elements of the widest vector.
pub(crate) const WIDEST: usize = 16;

/// A vector register of `LANES` elements.
///
/// # Safety
/// The methods of an implementation may only be called where the processor has the instructions it stands for, that is,
/// inside [`run`](super::run).
pub(crate) unsafe trait Vector: Copy {
    type Element: Element;
    const LANES: usize;

    /// All lanes `value`.
    unsafe fn splat(value: Self::Element) -> Self;
    /// `LANES` elements from `source`, which need not be aligned.
    unsafe fn load(source: *const Self::Element) -> Self;
    /// `LANES` elements to `target`, which need not be aligned.
    unsafe fn store(self, target: *mut Self::Element);
    /// `self + a * b`.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    /// `self` and, of each lane of `a` and `b`, the products of the two bf16 numbers it holds: see
    /// [`add_pair_products`](crate::bf16::add_pair_products).
    #[inline(always)]
    unsafe fn add_pair_products(self, a: Self, b: Self) -> Self {
        let mut lanes = [[Self::Element::zero(); WIDEST]; 3];
        // SAFETY: as the trait; no vector is wider.
        unsafe {
            for (lanes, vector) in lanes.iter_mut().zip([self, a, b]) {
                vector.store(lanes.as_mut_ptr());
            }
            let [sums, a, b] = &mut lanes;
            for ((sum, &a), &b) in sums.iter_mut().zip(a.iter()).zip(b.iter()).take(Self::LANES) {
                *sum = sum.add_pair_products(a, b);
            }
            Self::load(sums.as_ptr())
        }
    }

    /// `self + other`.
    unsafe fn add(self, other: Self) -> Self;
    /// The larger of both, lane by lane; where either is NaN, `other`.
    unsafe fn max(self, other: Self) -> Self;
    /// Lanes below zero become zero; NaN stays.
    unsafe fn relu(self) -> Self;

    /// `e` to the power of each lane, where lanes are at most 0 or NaN: within 2e-7 of it in f32 (results below the smallest
    /// normal number may be 0), exact to rounding in f64.
    #[inline(always)]
    unsafe fn exp_of_negative(self) -> Self {
        let mut lanes = [Self::Element::zero(); WIDEST];
        // SAFETY: as the trait; no vector is wider.
        unsafe {
            self.store(lanes.as_mut_ptr());
            for lane in lanes.iter_mut().take(Self::LANES) {
                *lane = lane.exp();
            }
            Self::load(lanes.as_ptr())
        }
    }

    /// `self` where `key` is positive or NaN, else zero.
    unsafe fn where_positive(self, key: Self) -> Self;

    /// The sum of all lanes, always in the same order.
    unsafe fn sum(self) -> Self::Element;
}

/// A vector from `source[at..]`; beyond its end, `fill`.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub(crate) unsafe fn load<V: Vector>(source: &[V::Element], at: usize, fill: V::Element) -> V {
    if at + V::LANES <= source.len() {
        // SAFETY: the vector lies inside the slice.
        return unsafe { V::load(source.as_ptr().add(at)) };
    }
    let mut lanes = [fill; WIDEST];
    lanes[..source.len() - at].copy_from_slice(&source[at..]);
    // SAFETY: no vector is wider.
    unsafe { V::load(lanes.as_ptr()) }
}

/// Stores what fits of `value` into `target[at..]`.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub(crate) unsafe fn store<V: Vector>(value: V, target: &mut [V::Element], at: usize) {
    // SAFETY: as this function; elements of a vector are values.
    unsafe { write(value, room_of(target), at) };
}

/// [`store`] into memory that need not have been written before. Afterwards `target` is written from `at` on, up to a
/// vector's lanes or its end.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub(crate) unsafe fn write<V: Vector>(value: V, target: &mut [MaybeUninit<V::Element>], at: usize) {
    if at + V::LANES <= target.len() {
        // SAFETY: the vector lies inside the slice.
        return unsafe { value.store(target.as_mut_ptr().add(at).cast()) };
    }
    let mut lanes = [V::Element::zero(); WIDEST];
    // SAFETY: no vector is wider.
    unsafe { value.store(lanes.as_mut_ptr()) };
    let count = target.len() - at;
    target[at..].write_copy_of_slice(&lanes[..count]);
}

/// A kernel with its arguments.
pub(crate) trait Kernel<T: Element> {
    /// Does the work with vectors `V`; must be `#[inline(always)]`.
    ///
    /// # Safety
    /// As [`Vector`].
    unsafe fn with<V: Vector<Element = T>>(self);
}
