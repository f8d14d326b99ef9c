//! Vectors of AVX-512 that multiply pairs of bf16.

use std::arch::x86_64::*;

use super::vector::Vector;

/// Sixteen f32, or sixteen pairs of bf16, on a processor that multiplies pairs.
#[derive(Clone, Copy)]
pub(crate) struct Bf16Lanes(__m512);

// SAFETY: as `__m512`, and one instruction of AVX512-BF16; callers are inside `run`.
unsafe impl Vector for Bf16Lanes {
    type Element = f32;
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: as the impl.
        Self(unsafe { <__m512 as Vector>::splat(value) })
    }

    #[inline(always)]
    unsafe fn load(source: *const f32) -> Self {
        // SAFETY: as the impl; the caller vouches for the elements.
        Self(unsafe { <__m512 as Vector>::load(source) })
    }

    #[inline(always)]
    unsafe fn store(self, target: *mut f32) {
        // SAFETY: as the impl; the caller vouches for the elements.
        unsafe { self.0.store(target) }
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        // SAFETY: as the impl.
        Self(unsafe { self.0.add_product(a.0, b.0) })
    }

    #[inline(always)]
    unsafe fn add_pair_products(self, a: Self, b: Self) -> Self {
        // SAFETY: as the impl; any bits are sixteen pairs.
        unsafe {
            let a = std::mem::transmute::<__m512, __m512bh>(a.0);
            let b = std::mem::transmute::<__m512, __m512bh>(b.0);
            Self(_mm512_dpbf16_ps(self.0, a, b))
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: as the impl.
        Self(unsafe { Vector::add(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // SAFETY: as the impl.
        Self(unsafe { Vector::max(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn exp_of_negative(self) -> Self {
        // SAFETY: as the impl.
        Self(unsafe { self.0.exp_of_negative() })
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        // SAFETY: as the impl.
        Self(unsafe { self.0.relu() })
    }

    #[inline(always)]
    unsafe fn where_positive(self, key: Self) -> Self {
        // SAFETY: as the impl.
        Self(unsafe { self.0.where_positive(key.0) })
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: as the impl.
        unsafe { self.0.sum() }
    }
}
