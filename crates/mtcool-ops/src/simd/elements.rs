//! The vectors that `f32` and `f64` have on each level.

#[cfg(target_arch = "x86_64")]
use super::bf16_lanes::Bf16Lanes;
use super::vector::Element;
use crate::bf16;

impl Element for f32 {
    #[cfg(target_arch = "x86_64")]
    type Avx2 = std::arch::x86_64::__m256;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = std::arch::x86_64::__m512;
    #[cfg(target_arch = "x86_64")]
    type Avx512Bf16 = Bf16Lanes;

    #[inline(always)]
    fn add_pair_products(self, a: f32, b: f32) -> f32 {
        bf16::add_pair_products(self, a, b)
    }
}

impl Element for f64 {
    #[cfg(target_arch = "x86_64")]
    type Avx2 = std::arch::x86_64::__m256d;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = std::arch::x86_64::__m512d;
    #[cfg(target_arch = "x86_64")]
    type Avx512Bf16 = std::arch::x86_64::__m512d;

    #[inline(always)]
    fn add_pair_products(self, a: f64, b: f64) -> f64 {
        self + a * b
    }
}
