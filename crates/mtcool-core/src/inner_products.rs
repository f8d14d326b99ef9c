//! Inner products of tensors in f64, read where they are computed.

use candle_core::{CpuStorage, DType, Storage, Tensor};

use crate::error::{Error, Result};

/// The inner product of each pair of contiguous tensors of one shape. The host waits for another device at most once, however
/// many pairs there are.
///
/// # Errors
/// If the tensors of a pair differ in shape.
pub(crate) fn inner_products(pairs: &[(&Tensor, &Tensor)]) -> Result<Vec<f64>> {
    let mut values = Vec::with_capacity(pairs.len());
    let (mut elsewhere, mut scalars) = (Vec::new(), Vec::new());
    for (at, (a, b)) in pairs.iter().enumerate() {
        match inner_product(a, b)? {
            InnerProduct::OnHost(value) => values.push(value),
            InnerProduct::OnDevice(scalar) => {
                values.push(0.0);
                elsewhere.push(at);
                scalars.push(scalar);
            }
        }
    }
    if !scalars.is_empty() {
        let numbers = Tensor::stack(&scalars, 0)?.to_vec1::<f64>()?;
        elsewhere.into_iter().zip(numbers).for_each(|(at, value)| values[at] = value);
    }
    Ok(values)
}

/// An inner product in f64.
enum InnerProduct {
    /// Of tensors on the CPU.
    OnHost(f64),
    /// A scalar on the device of the tensors.
    OnDevice(Tensor),
}

fn inner_product(a: &Tensor, b: &Tensor) -> Result<InnerProduct> {
    if a.dims() != b.dims() {
        let (expected, got) = (format!("{:?}", a.dims()), format!("{:?}", b.dims()));
        return Err(Error::Mismatch { what: "gradients of one parameter".into(), expected, got });
    }
    let ((storage_a, layout_a), (storage_b, layout_b)) = (a.storage_and_layout(), b.storage_and_layout());
    let (from_a, from_b) = (layout_a.start_offset(), layout_b.start_offset());
    let count = a.elem_count();
    Ok(match (&*storage_a, &*storage_b) {
        (Storage::Cpu(CpuStorage::F32(a)), Storage::Cpu(CpuStorage::F32(b))) => {
            InnerProduct::OnHost(dot(&a[from_a..from_a + count], &b[from_b..from_b + count]))
        }
        (Storage::Cpu(CpuStorage::F64(a)), Storage::Cpu(CpuStorage::F64(b))) => {
            InnerProduct::OnHost(dot(&a[from_a..from_a + count], &b[from_b..from_b + count]))
        }
        _ => InnerProduct::OnDevice((a.to_dtype(DType::F64)? * b.to_dtype(DType::F64)?)?.sum_all()?),
    })
}

/// In four partial sums, so that additions need not wait for each other.
fn dot<T: Copy + Into<f64>>(a: &[T], b: &[T]) -> f64 {
    let mut sums = [0.0; 4];
    let (blocks_a, blocks_b) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = blocks_a.remainder().iter().zip(blocks_b.remainder()).map(|(&a, &b)| a.into() * b.into()).sum();
    for (a, b) in blocks_a.zip(blocks_b) {
        for lane in 0..4 {
            sums[lane] += a[lane].into() * b[lane].into();
        }
    }
    rest + (sums[0] + sums[1]) + (sums[2] + sums[3])
}
