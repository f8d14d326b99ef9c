//! Matrix products by cuBLAS, on row-major matrices.

use candle_core::{CudaDevice, Error, Result, bail};
use cudarc::cublas::result::gemm_strided_batched_ex;
use cudarc::cublas::sys::{cublasGemmAlgo_t, cublasOperation_t};
use cudarc::driver::{CudaSlice, CudaView, CudaViewMut, DevicePtr, DevicePtrMut};

use super::Real;
use super::elementwise::round_bf16;
use crate::settings::Precision;

/// How the matrices of an operand lie in memory.
#[derive(Clone, Copy)]
pub(crate) struct Matrices {
    /// Elements from one row to the next.
    pub(crate) row: usize,
    /// Elements from one matrix of the batch to the next; 0 if all are the same.
    pub(crate) step: usize,
    /// Whether the stored matrix is the transpose of the factor.
    pub(crate) is_transposed: bool,
}

impl Matrices {
    /// Rows of `row` elements; the same matrix for the whole batch.
    pub(crate) fn rows(row: usize) -> Self {
        Self { row, step: 0, is_transposed: false }
    }

    /// `step` elements from one matrix of the batch to the next.
    #[cfg(not(feature = "cudnn"))]
    pub(crate) fn each(self, step: usize) -> Self {
        Self { step, ..self }
    }

    /// The transpose, without moving anything.
    pub(crate) fn t(self) -> Self {
        Self { is_transposed: !self.is_transposed, ..self }
    }

    /// The number of elements from the first to the last one that a batch of factors of `rows` x `cols` uses.
    fn reach(&self, rows: usize, cols: usize, batch: usize) -> usize {
        let (rows, cols) = if self.is_transposed { (cols, rows) } else { (rows, cols) };
        (batch - 1) * self.step + (rows - 1) * self.row + cols
    }
}

/// `out[b] = left[b] right[b]`, matrices `[m, k]` and `[k, n]`; the results are contiguous.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    pub(crate) sizes: [usize; 3],
    pub(crate) batch: usize,
    pub(crate) left: Matrices,
    pub(crate) right: Matrices,
    /// Whether the products are added to the content of `out`.
    pub(crate) accumulates: bool,
    pub(crate) precision: Precision,
}

/// Runs a [`Product`].
///
/// # Errors
/// If a size does not fit cuBLAS's integers, or cuBLAS fails.
///
/// # Panics
/// If an operand reaches past its view.
pub(crate) fn product<T: Real>(
    device: &CudaDevice,
    product: &Product,
    left: &CudaView<'_, T>,
    right: &CudaView<'_, T>,
    out: &mut CudaViewMut<'_, T>,
) -> Result<()> {
    let Product { sizes: [m, n, k], batch, .. } = *product;
    if m * n * batch == 0 || k == 0 {
        bail!("a matrix product [{m}, {k}] x [{k}, {n}], {batch} times: expected no empty operand");
    }
    assert!(product.left.reach(m, k, batch) <= left.len(), "product: left operand past its memory");
    assert!(product.right.reach(k, n, batch) <= right.len(), "product: right operand past its memory");
    assert!(batch * m * n <= out.len(), "product: result past its memory");
    let size = |value: usize| i32::try_from(value).map_err(Error::wrap);
    let operation = |matrices: &Matrices| {
        if matrices.is_transposed { cublasOperation_t::CUBLAS_OP_T } else { cublasOperation_t::CUBLAS_OP_N }
    };
    let alpha = <T as num_traits::One>::one();
    let beta = if product.accumulates { alpha } else { <T as num_traits::Zero>::zero() };
    let stream = device.cuda_stream();
    let ((left_at, _left), (right_at, _right)) = (left.device_ptr(&stream), right.device_ptr(&stream));
    let (out_at, _out) = out.device_ptr_mut(&stream);
    // cuBLAS stores matrices column by column, so it sees the transposes: out^T = right^T left^T.
    // SAFETY: the assertions keep every element inside its view; the scalars are of the compute type.
    unsafe {
        gemm_strided_batched_ex(
            *device.cublas_handle().handle(),
            operation(&product.right),
            operation(&product.left),
            size(n)?,
            size(m)?,
            size(k)?,
            std::ptr::from_ref(&alpha).cast(),
            right_at as *const _,
            T::BLAS,
            size(product.right.row)?,
            product.right.step as i64,
            left_at as *const _,
            T::BLAS,
            size(product.left.row)?,
            product.left.step as i64,
            std::ptr::from_ref(&beta).cast(),
            out_at as *mut _,
            T::BLAS,
            size(n)?,
            (m * n) as i64,
            size(batch)?,
            T::compute_type(product.precision),
            cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
        )
        .map_err(Error::wrap)
    }
}

/// `x` as an operand of multiplications: `x` itself, or its elements rounded, which are then stored in `room`.
///
/// # Errors
/// If an f64 tensor is to be rounded, as on the CPU.
pub(crate) fn rounded<'a, T: Real>(
    device: &CudaDevice,
    x: &'a CudaView<'a, T>,
    precision: Precision,
    room: &'a mut Option<CudaSlice<T>>,
) -> Result<CudaView<'a, T>> {
    if precision != Precision::Full && size_of::<T>() == size_of::<f64>() {
        bail!("expected an f32 tensor, or with full precision an f64 one, got f64 with {precision:?}");
    }
    match precision {
        Precision::Full | Precision::Tf32 => Ok(x.slice(..)),
        Precision::Bf16 => Ok(room.insert(round_bf16(device, x)?).slice(..)),
    }
}
