//! Access to candle's storage as slices, and dispatch on the element type and the precision.

use std::ops::Deref;

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, WithDType, bail};

pub(crate) use crate::simd::Element;

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

/// The storage of `$body`, the elements of a result, with `$T` bound to the element type of the first operand. Each operand is a
/// storage with its layout, and inside of `$body` the slice of its elements.
macro_rules! on_elements {
    ($op:expr, $T:ident, $first:ident: $of_first:expr $(, $other:ident: $of_other:expr)* => $body:expr) => {
        $crate::element::dispatch!($op, $first, $T => {
            let $first = $crate::element::elements::<$T>($op, $first, $of_first)?;
            $(let $other = $crate::element::elements::<$T>($op, $other, $of_other)?;)*
            <$T as candle_core::WithDType>::to_cpu_storage_owned($body)
        })
    };
}
pub(crate) use on_elements;

/// Runs `$body` with `$T` bound to the element type of `$storage` and `$A` to the arithmetic of `$precision`.
macro_rules! dispatch_precision {
    ($op:expr, $storage:expr, $precision:expr, ($T:ident, $A:ident) => $body:expr) => {
        match ($storage, $precision) {
            (candle_core::CpuStorage::F32(_), $crate::settings::Precision::Full) => {
                type $T = f32;
                type $A = $crate::arithmetic::Exact;
                $body
            }
            (candle_core::CpuStorage::F32(_), $crate::settings::Precision::Bf16) => {
                type $T = f32;
                type $A = $crate::arithmetic::Bf16;
                $body
            }
            (candle_core::CpuStorage::F64(_), $crate::settings::Precision::Full) => {
                type $T = f64;
                type $A = $crate::arithmetic::Exact;
                $body
            }
            (_, $crate::settings::Precision::Tf32) => candle_core::bail!(
                "{}: tf32 is arithmetic of NVIDIA GPUs: expected precision full or bf16 on the CPU",
                $op
            ),
            (other, precision) => candle_core::bail!(
                "{}: expected an f32 tensor, or with full precision an f64 one, got {:?} with {precision:?}",
                $op,
                candle_core::backend::BackendStorage::dtype(other)
            ),
        }
    };
}
pub(crate) use dispatch_precision;

/// A tensor's storage, for a backward pass that needs no operation of the graph.
pub(crate) struct OnCpu<'a, S> {
    op: &'static str,
    storage: S,
    layout: &'a Layout,
}

/// A tensor's storage, locked for reading.
pub(crate) fn on_cpu<'a>(op: &'static str, tensor: &'a Tensor) -> OnCpu<'a, impl Deref<Target = Storage> + 'a> {
    let (storage, layout) = tensor.storage_and_layout();
    OnCpu { op, storage, layout }
}

impl<S: Deref<Target = Storage>> OnCpu<'_, S> {
    /// # Errors
    /// If it is on another device.
    pub(crate) fn storage(&self) -> Result<&CpuStorage> {
        match &*self.storage {
            Storage::Cpu(storage) => Ok(storage),
            _ => bail!("{}: expected a tensor on the CPU", self.op),
        }
    }

    /// The elements of a contiguous tensor.
    pub(crate) fn elements<T: WithDType>(&self) -> Result<&[T]> {
        elements(self.op, self.storage()?, self.layout)
    }
}

/// The elements of a contiguous tensor.
pub(crate) fn elements<'a, T: WithDType>(op: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<T>()?[start..end]),
        None => bail!("{op}: expected a contiguous tensor, got strides {:?}", layout.stride()),
    }
}

/// Sums a slice with sixteen independent accumulators: the compiler can use vectors, and the order of additions is always
/// the same.
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

/// The inner product of two slices of one length, with the accumulators of [`sum`].
pub(crate) fn dot<T: Element>(a: &[T], b: &[T]) -> T {
    const LANES: usize = 16;
    let mut lanes = [T::zero(); LANES];
    let (of_a, of_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let mut rest = T::zero();
    for (&a, &b) in of_a.remainder().iter().zip(of_b.remainder()) {
        rest += a * b;
    }
    for (a, b) in of_a.zip(of_b) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().fold(rest, |total, &lane| total + lane)
}
