//! `gemm`'s single-threaded matrix product, with checked bounds.

use crate::element::Element;

/// A strided view of a matrix in a slice; element `(r, c)` lies at `r * row_stride + c * col_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<D> {
    pub(crate) data: D,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

impl<D> Matrix<D> {
    /// A row-major `[rows, cols]` matrix whose rows are `row_stride` apart.
    pub(crate) fn new(data: D, rows: usize, cols: usize, row_stride: usize) -> Self {
        Self { data, rows, cols, row_stride, col_stride: 1 }
    }

    /// The transpose, without moving anything.
    pub(crate) fn t(self) -> Self {
        let Self { data, rows, cols, row_stride, col_stride } = self;
        Self { data, rows: cols, cols: rows, row_stride: col_stride, col_stride: row_stride }
    }

    fn end(&self) -> usize {
        if self.rows == 0 || self.cols == 0 {
            return 0;
        }
        (self.rows - 1) * self.row_stride + (self.cols - 1) * self.col_stride + 1
    }
}

/// `out = lhs * rhs`, or `out += lhs * rhs` if `accumulate`; on the calling thread.
///
/// # Panics
/// If the shapes disagree or a view reaches past its slice.
pub(crate) fn matmul<T: Element>(out: Matrix<&mut [T]>, lhs: Matrix<&[T]>, rhs: Matrix<&[T]>, accumulate: bool) {
    assert_eq!((lhs.rows, lhs.cols), (out.rows, rhs.rows), "matmul: inner or left shape");
    assert_eq!(rhs.cols, out.cols, "matmul: right shape");
    assert!(out.end() <= out.data.len(), "matmul: output past its slice");
    assert!(lhs.end() <= lhs.data.len(), "matmul: left operand past its slice");
    assert!(rhs.end() <= rhs.data.len(), "matmul: right operand past its slice");
    // SAFETY: the assertions above keep every element of the three views inside its slice; `out` is borrowed exclusively.
    unsafe {
        gemm::gemm(
            out.rows,
            out.cols,
            lhs.cols,
            out.data.as_mut_ptr(),
            out.col_stride as isize,
            out.row_stride as isize,
            accumulate,
            lhs.data.as_ptr(),
            lhs.col_stride as isize,
            lhs.row_stride as isize,
            rhs.data.as_ptr(),
            rhs.col_stride as isize,
            rhs.row_stride as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
