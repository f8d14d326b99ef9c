//! A fully connected layer and its gradients.

use std::ops::Range;

use candle_core::{CudaDevice, Result};
use cudarc::driver::{CudaSlice, CudaView};

use super::Real;
use super::gemm::{Matrices, Product, product, rounded};
use crate::settings::Precision;

/// The sizes of one layer.
pub(crate) struct Dense {
    pub(crate) batch: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) precision: Precision,
}

/// `x weight^T`, `[B, O]`.
pub(crate) fn dense<T: Real>(
    device: &CudaDevice,
    sizes: &Dense,
    (x, weight): (&CudaView<'_, T>, &CudaView<'_, T>),
) -> Result<CudaSlice<T>> {
    let &Dense { batch, inputs, outputs, precision } = sizes;
    let (left, right) = (Matrices::rows(inputs), Matrices::rows(inputs).t());
    multiply(device, [batch, outputs, inputs], (x, left), (weight, right), precision)
}

/// `grad weight`, `[B, I]`.
pub(crate) fn dense_input_gradient<T: Real>(
    device: &CudaDevice,
    sizes: &Dense,
    (weight, grad): (&CudaView<'_, T>, &CudaView<'_, T>),
) -> Result<CudaSlice<T>> {
    let &Dense { batch, inputs, outputs, precision } = sizes;
    let (left, right) = (Matrices::rows(outputs), Matrices::rows(inputs));
    multiply(device, [batch, inputs, outputs], (grad, left), (weight, right), precision)
}

/// `grad^T x` at `rows`, elsewhere 0: `[O, I]`.
pub(crate) fn dense_weight_gradient<T: Real>(
    device: &CudaDevice,
    sizes: &Dense,
    (x, grad): (&CudaView<'_, T>, &CudaView<'_, T>),
    rows: Range<usize>,
) -> Result<CudaSlice<T>> {
    let &Dense { batch, inputs, outputs, precision } = sizes;
    let mut result = device.alloc_zeros::<T>(outputs * inputs)?;
    if rows.is_empty() || batch == 0 {
        return Ok(result);
    }
    let (mut of_x, mut of_grad) = (None, None);
    let x = rounded(device, x, precision, &mut of_x)?;
    let grad = rounded(device, grad, precision, &mut of_grad)?;
    let of_rows = Product {
        sizes: [rows.len(), inputs, batch],
        batch: 1,
        left: Matrices::rows(outputs).t(),
        right: Matrices::rows(inputs),
        accumulates: false,
        precision,
    };
    let mut target = result.slice_mut(rows.start * inputs..rows.end * inputs);
    product(device, &of_rows, &grad.slice(rows.start..), &x, &mut target)?;
    Ok(result)
}

fn multiply<T: Real>(
    device: &CudaDevice,
    sizes: [usize; 3],
    (left, of_left): (&CudaView<'_, T>, Matrices),
    (right, of_right): (&CudaView<'_, T>, Matrices),
    precision: Precision,
) -> Result<CudaSlice<T>> {
    if sizes[0] == 0 {
        return device.alloc_zeros::<T>(0);
    }
    let (mut room, mut more_room) = (None, None);
    let left = rounded(device, left, precision, &mut room)?;
    let right = rounded(device, right, precision, &mut more_room)?;
    let whole = Product { sizes, batch: 1, left: of_left, right: of_right, accumulates: false, precision };
    // SAFETY: the product writes all.
    let mut result = unsafe { device.alloc::<T>(sizes[0] * sizes[1])? };
    product(device, &whole, &left, &right, &mut result.slice_mut(..))?;
    Ok(result)
}
