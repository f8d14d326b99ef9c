//! Vectors of x86-64: AVX2 with FMA, and AVX-512.

use std::arch::x86_64::*;

use super::vector::{Element, Kernel, Vector};

/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn with_avx2<T: Element, K: Kernel<T>>(kernel: K) {
    // SAFETY: the caller's promise.
    unsafe { kernel.with::<T::Avx2>() }
}

/// # Safety
/// The processor has AVX-512F, AVX2 and FMA.
#[target_feature(enable = "avx512f,avx2,fma")]
pub(super) unsafe fn with_avx512<T: Element, K: Kernel<T>>(kernel: K) {
    // SAFETY: the caller's promise.
    unsafe { kernel.with::<T::Avx512>() }
}

/// # Safety
/// The processor has AVX-512F, AVX512-BF16, AVX2 and FMA.
#[target_feature(enable = "avx512f,avx512bf16,avx2,fma")]
pub(super) unsafe fn with_avx512_bf16<T: Element, K: Kernel<T>>(kernel: K) {
    // SAFETY: the caller's promise.
    unsafe { kernel.with::<T::Avx512Bf16>() }
}

macro_rules! vector {
    ($vector:ty, $element:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $fma:ident, $add:ident, $max:ident, $zero:ident, |$value:ident, $key:ident| $positive:expr, |$all:ident| $sum:expr $(, |$power:ident| $exp:expr)?) => {
        // SAFETY: each method is one instruction of the set the type belongs to; callers are inside `run`.
        unsafe impl Vector for $vector {
            type Element = $element;
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn splat(value: $element) -> Self {
                // SAFETY: as the impl.
                unsafe { $splat(value) }
            }

            #[inline(always)]
            unsafe fn load(source: *const $element) -> Self {
                // SAFETY: as the impl; the caller vouches for the elements.
                unsafe { $load(source) }
            }

            #[inline(always)]
            unsafe fn store(self, target: *mut $element) {
                // SAFETY: as the impl; the caller vouches for the elements.
                unsafe { $store(target, self) }
            }

            #[inline(always)]
            unsafe fn add_product(self, a: Self, b: Self) -> Self {
                // SAFETY: as the impl.
                unsafe { $fma(a, b, self) }
            }

            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: as the impl.
                unsafe { $add(self, other) }
            }

            #[inline(always)]
            unsafe fn max(self, other: Self) -> Self {
                // SAFETY: as the impl.
                unsafe { $max(self, other) }
            }

            $(#[inline(always)]
            unsafe fn exp_of_negative(self) -> Self {
                let $power = self;
                // SAFETY: as the impl.
                unsafe { $exp }
            })?

            #[inline(always)]
            unsafe fn relu(self) -> Self {
                // The second operand is the result where either is NaN.
                // SAFETY: as the impl.
                unsafe { $max($zero(), self) }
            }

            #[inline(always)]
            unsafe fn where_positive(self, key: Self) -> Self {
                let ($value, $key) = (self, key);
                // SAFETY: as the impl.
                unsafe { $positive }
            }

            #[inline(always)]
            unsafe fn sum(self) -> $element {
                let $all = self;
                // SAFETY: as the impl.
                unsafe { $sum }
            }
        }
    };
}

vector!(
    __m256,
    f32,
    8,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_fmadd_ps,
    _mm256_add_ps,
    _mm256_max_ps,
    _mm256_setzero_ps,
    |value, key| _mm256_and_ps(value, _mm256_cmp_ps::<_CMP_NLE_UQ>(key, _mm256_setzero_ps())),
    |lanes| {
        let quarter = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
        let pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
        _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)))
    },
    |power| {
        // The second operand is the result where either is NaN.
        let power = _mm256_max_ps(_mm256_set1_ps(LEAST_POWER), power);
        let twos = _mm256_round_ps::<NEAREST>(_mm256_mul_ps(power, _mm256_set1_ps(std::f32::consts::LOG2_E)));
        let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(twos), _mm256_set1_epi32(127));
        _mm256_mul_ps(exp_of_rest(power, twos), _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
    }
);
vector!(
    __m256d,
    f64,
    4,
    _mm256_set1_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_fmadd_pd,
    _mm256_add_pd,
    _mm256_max_pd,
    _mm256_setzero_pd,
    |value, key| _mm256_and_pd(value, _mm256_cmp_pd::<_CMP_NLE_UQ>(key, _mm256_setzero_pd())),
    |lanes| {
        let pair = _mm_add_pd(_mm256_castpd256_pd128(lanes), _mm256_extractf128_pd::<1>(lanes));
        _mm_cvtsd_f64(_mm_add_sd(pair, _mm_unpackhi_pd(pair, pair)))
    }
);
vector!(
    __m512,
    f32,
    16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_fmadd_ps,
    _mm512_add_ps,
    _mm512_max_ps,
    _mm512_setzero_ps,
    |value, key| _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLE_UQ>(key, _mm512_setzero_ps()), value),
    |lanes| _mm512_reduce_add_ps(lanes),
    |power| {
        // The second operand is the result where either is NaN.
        let power = _mm512_max_ps(_mm512_set1_ps(UNDERFLOW), power);
        let twos = _mm512_roundscale_ps::<NEAREST>(_mm512_mul_ps(power, _mm512_set1_ps(std::f32::consts::LOG2_E)));
        _mm512_scalef_ps(exp_of_rest(power, twos), twos)
    }
);
vector!(
    __m512d,
    f64,
    8,
    _mm512_set1_pd,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_fmadd_pd,
    _mm512_add_pd,
    _mm512_max_pd,
    _mm512_setzero_pd,
    |value, key| _mm512_maskz_mov_pd(_mm512_cmp_pd_mask::<_CMP_NLE_UQ>(key, _mm512_setzero_pd()), value),
    |lanes| _mm512_reduce_add_pd(lanes)
);

/// The least power that AVX2's exponent bits can hold: their zero is the result.
const LEAST_POWER: f32 = -88.0;
/// A power whose result is below the smallest subnormal number.
const UNDERFLOW: f32 = -110.0;

/// Rounding to the nearest integer, without exceptions.
const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

/// `e^(power - twos ln 2)` where `twos` is the integer nearest to `power / ln 2`: Taylor's polynomial of degree 7, whose
/// remainder is below 6e-9 there.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn exp_of_rest<V: Vector<Element = f32>>(power: V, twos: V) -> V {
    // ln 2 in two parts, the first of so few digits that its products with `twos` are exact.
    const LN_2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];
    const INVERSE_FACTORIALS: [f32; 7] = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    // SAFETY: the caller's promise.
    unsafe {
        let rest = power.add_product(twos, V::splat(-LN_2[0])).add_product(twos, V::splat(-LN_2[1]));
        INVERSE_FACTORIALS.iter().fold(V::splat(1.0 / 5040.0), |sum, &next| V::splat(next).add_product(sum, rest))
    }
}
