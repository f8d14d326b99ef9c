//! Vectors of floating-point numbers, chosen at run time: AVX-512 with or without bf16, AVX2 with FMA, or portable code.
//!
//! A kernel is written once, generic over [`Vector`], marked `#[inline(always)]`, and called through [`run`], which compiles
//! it for each [`Level`] and picks the best the processor has.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::OnceLock;

use num_traits::{Float, Zero};

use crate::element::Element;

pub(crate) use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::Bf16Lanes;

/// Elements of the widest vector.
pub(crate) const WIDEST: usize = 16;

/// A vector register of `LANES` elements.
///
/// # Safety
/// The methods of an implementation may only be called where the processor has the instructions it stands for, that is,
/// inside [`run`].
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
    /// [`add_pair_products`](crate::arithmetic::add_pair_products).
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

/// Stores what of `value` fits into `target[at..]`.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub(crate) unsafe fn store<V: Vector>(value: V, target: &mut [V::Element], at: usize) {
    if at + V::LANES <= target.len() {
        // SAFETY: the vector lies inside the slice.
        return unsafe { value.store(target.as_mut_ptr().add(at)) };
    }
    let mut lanes = [V::Element::zero(); WIDEST];
    // SAFETY: no vector is wider.
    unsafe { value.store(lanes.as_mut_ptr()) };
    let count = target.len() - at;
    target[at..].copy_from_slice(&lanes[..count]);
}

/// A kernel with its arguments.
pub(crate) trait Kernel<T: Element> {
    /// Does the work with vectors `V`; must be `#[inline(always)]`.
    ///
    /// # Safety
    /// As [`Vector`].
    unsafe fn with<V: Vector<Element = T>>(self);
}

/// Instruction sets, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX-512 with products of bf16 pairs.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
}

impl Level {
    /// Those this processor has.
    pub(crate) fn available() -> Vec<Level> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "nothing to add there"))]
        let mut levels = vec![Level::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                levels.push(Level::Avx2);
                if is_x86_feature_detected!("avx512f") {
                    levels.push(Level::Avx512);
                    if is_x86_feature_detected!("avx512bf16") {
                        levels.push(Level::Avx512Bf16);
                    }
                }
            }
        }
        levels
    }

    /// The best this processor has.
    pub(crate) fn best() -> Level {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| Level::available().into_iter().max().unwrap_or(Level::Portable))
    }

    /// Elements of a vector.
    pub(crate) fn lanes<T: Element>(self) -> usize {
        match self {
            Level::Portable => Portable::<T>::LANES,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => T::Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => T::Avx512::LANES,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Bf16 => T::Avx512Bf16::LANES,
        }
    }
}

/// Runs `kernel` compiled for `level`.
///
/// # Panics
/// If the processor does not have `level`.
pub(crate) fn run<T: Element, K: Kernel<T>>(level: Level, kernel: K) {
    assert!(level <= Level::best(), "this processor has no {level:?}");
    match level {
        // SAFETY: portable code runs anywhere.
        Level::Portable => unsafe { kernel.with::<Portable<T>>() },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the assertion above.
        Level::Avx2 => unsafe { x86::with_avx2(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the assertion above.
        Level::Avx512 => unsafe { x86::with_avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the assertion above.
        Level::Avx512Bf16 => unsafe { x86::with_avx512_bf16(kernel) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Exponentials<'a, T>(&'a mut [T]);

    impl<T: Element> Kernel<T> for Exponentials<'_, T> {
        #[inline(always)]
        unsafe fn with<V: Vector<Element = T>>(self) {
            for at in (0..self.0.len()).step_by(V::LANES) {
                // SAFETY: vectors of this level; `load` and `store` are bounded.
                unsafe { store(load::<V>(self.0, at, T::zero()).exp_of_negative(), self.0, at) };
            }
        }
    }

    #[test]
    fn every_level_has_the_same_exponential() {
        let edges = [0.0f32, -0.0, -0.3, -1.0, -86.9, -87.3, -87.7, -88.0, -103.0, -200.0, f32::MIN, f32::NEG_INFINITY];
        let powers: Vec<f32> = edges.into_iter().chain((0..8800).map(|at| at as f32 * -0.01)).collect();
        for level in Level::available() {
            let mut values = powers.clone();
            values.push(f32::NAN);
            run(level, Exponentials(&mut values));
            assert!(values.pop().is_some_and(f32::is_nan), "{level:?}");
            for (value, &power) in values.iter().zip(&powers) {
                let want = f64::from(power).exp();
                let error = (f64::from(*value) - want).abs();
                assert!(error <= 2.5e-7 * want || error < 1.2e-38, "{level:?}: e^{power} is {value}, not {want}");
            }
        }
    }
}
