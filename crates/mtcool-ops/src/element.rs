//! The element types the kernels run on, and the way from candle's storage to slices and back.

use candle_core::{CpuStorage, Layout, Result, WithDType, bail};

#[cfg(target_arch = "x86_64")]
use crate::simd::Vector;

/// `f32` or `f64`.
pub(crate) trait Element: WithDType + num_traits::Float + std::iter::Sum {
    /// A vector of them with AVX2.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Vector<Element = Self>;
    /// A vector of them with AVX-512.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Vector<Element = Self>;
}

impl Element for f32 {
    #[cfg(target_arch = "x86_64")]
    type Avx2 = std::arch::x86_64::__m256;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = std::arch::x86_64::__m512;
}

impl Element for f64 {
    #[cfg(target_arch = "x86_64")]
    type Avx2 = std::arch::x86_64::__m256d;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = std::arch::x86_64::__m512d;
}

/// Runs `$body` with `$T` bound to the element type of `$storage`.
macro_rules! dispatch {
    ($op:expr, $storage:expr, $T:ident => $body:expr) => {
        match $storage {
            candle_core::CpuStorage::F32(_) => {
                type $T = f32;
                $body
            }
            candle_core::CpuStorage::F64(_) => {
                type $T = f64;
                $body
            }
            other => candle_core::bail!(
                "{}: expected an f32 or f64 tensor, got {:?}",
                $op,
                candle_core::backend::BackendStorage::dtype(other)
            ),
        }
    };
}
pub(crate) use dispatch;

/// The elements of a contiguous tensor.
pub(crate) fn elements<'a, T: WithDType>(op: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<T>()?[start..end]),
        None => bail!("{op}: expected a contiguous tensor, got strides {:?}", layout.stride()),
    }
}

/// Sums a slice with sixteen independent accumulators: vectorisable, and the same order always.
pub(crate) fn sum<T: Element>(values: &[T]) -> T {
    const LANES: usize = 16;
    let mut lanes = [T::zero(); LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    let mut total = T::zero();
    for &lane in lanes.iter().chain(rest) {
        total += lane;
    }
    total
}
