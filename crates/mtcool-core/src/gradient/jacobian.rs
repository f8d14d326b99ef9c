//! The tasks' gradients with respect to the parameters they share, and inner products of them.

use std::cell::OnceCell;

use candle_core::{CpuStorage, DType, Storage, Tensor};

use super::{are_finite, one_a_task};
use crate::error::{Error, Result};
use crate::parameters::{Gradients, ParameterName};

/// The tasks' gradients with respect to the shared parameters, as the backward passes left them: never one `[T, n]` matrix.
#[derive(Debug)]
pub struct Jacobian<'a> {
    rows: &'a [Gradients],
    losses: &'a [f64],
    gramian: OnceCell<Vec<Vec<f64>>>,
}

impl<'a> Jacobian<'a> {
    /// From one row and one loss a task.
    pub fn new(rows: &'a [Gradients], losses: &'a [f64]) -> Self {
        Self { rows, losses, gramian: OnceCell::new() }
    }

    /// T, the number of tasks.
    pub fn tasks(&self) -> usize {
        self.rows.len()
    }

    /// The rows g_i; a parameter that task i does not reach is missing from row i.
    pub fn rows(&self) -> &'a [Gradients] {
        self.rows
    }

    /// The parameters of any row, each once.
    pub fn names(&self) -> impl Iterator<Item = &'a ParameterName> + use<'a> {
        let rows = self.rows;
        rows.iter().enumerate().flat_map(move |(i, row)| {
            let is_new = move |name: &&ParameterName| rows[..i].iter().all(|earlier| earlier.get(name).is_none());
            row.iter().map(|(name, _)| name).filter(is_new)
        })
    }

    /// The losses `[T]` whose gradients the rows are.
    pub fn losses(&self) -> &'a [f64] {
        self.losses
    }

    /// J J^T `[T, T]`, entry (i, j) the inner product of g_i and g_j; computed once.
    ///
    /// # Errors
    /// If two rows disagree on a parameter's shape.
    pub fn gramian(&self) -> Result<&[Vec<f64>]> {
        if let Some(gramian) = self.gramian.get() {
            return Ok(gramian);
        }
        let tasks = self.tasks();
        let mut gramian = vec![vec![0.0; tasks]; tasks];
        let mut add = |i: usize, j: usize, value: f64| {
            gramian[i][j] += value;
            gramian[j][i] = gramian[i][j];
        };
        let mut elsewhere = Vec::new();
        for name in self.names() {
            let tensors = self.rows.iter().map(|row| row.get(name).map(Tensor::contiguous).transpose());
            let tensors = tensors.collect::<candle_core::Result<Vec<_>>>()?;
            for (i, a) in tensors.iter().enumerate() {
                for (j, b) in tensors[..=i].iter().enumerate() {
                    if let (Some(a), Some(b)) = (a, b) {
                        match inner_product(a, b)? {
                            InnerProduct::Here(value) => add(i, j, value),
                            InnerProduct::There(scalar) => elsewhere.push((i, j, scalar)),
                        }
                    }
                }
            }
        }
        if !elsewhere.is_empty() {
            // The host waits for the device once, not once for each.
            let scalars: Vec<&Tensor> = elsewhere.iter().map(|(_, _, scalar)| scalar).collect();
            let values = Tensor::stack(&scalars, 0)?.to_vec1::<f64>()?;
            elsewhere.iter().zip(values).for_each(|(&(i, j, _), value)| add(i, j, value));
        }
        Ok(self.gramian.get_or_init(|| gramian))
    }

    /// `sum_i w_i g_i` over the shared parameters.
    ///
    /// # Errors
    /// If there is not one weight a task.
    pub fn weighted_sum(&self, weights: &[f64]) -> Result<Gradients> {
        one_a_task(weights, self.tasks())?;
        let mut terms = self.rows.iter().zip(weights);
        terms.try_fold(Gradients::new(), |sum, (row, &w)| sum.add_scaled(row, w))
    }

    /// Whether losses and rows are free of NaN and infinities.
    pub(super) fn is_finite(&self) -> Result<bool> {
        Ok(are_finite(self.losses) && self.gramian()?.iter().all(|row| are_finite(row)))
    }
}

/// In f64.
enum InnerProduct {
    /// Of tensors that lie with the host.
    Here(f64),
    /// A scalar on the tensors' device.
    There(Tensor),
}

/// Of two contiguous tensors of one shape: read where they lie if that is the host.
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
            InnerProduct::Here(dot(&a[from_a..from_a + count], &b[from_b..from_b + count]))
        }
        (Storage::Cpu(CpuStorage::F64(a)), Storage::Cpu(CpuStorage::F64(b))) => {
            InnerProduct::Here(dot(&a[from_a..from_a + count], &b[from_b..from_b + count]))
        }
        _ => InnerProduct::There((a.to_dtype(DType::F64)? * b.to_dtype(DType::F64)?)?.sum_all()?),
    })
}

/// In four sums, so that additions need not wait for each other.
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
