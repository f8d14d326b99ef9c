//! The tasks' gradients with respect to the parameters they share, and the inner products of these gradients.

use std::cell::OnceCell;

use candle_core::Tensor;

use super::checks::{are_finite, require_one_per_task};
use super::late::LateJacobian;
use crate::error::Result;
use crate::inner_products::inner_products;
use crate::parameter_name::ParameterName;
use crate::parameters::Gradients;

/// The tasks' gradients with respect to the shared parameters, tensor by tensor as the backward passes left them; they are
/// never copied into one `[T, n]` matrix.
#[derive(Debug)]
pub struct Jacobian<'a> {
    rows: &'a [Gradients],
    late: Option<LateJacobian<'a>>,
    losses: &'a [f64],
    gramian: OnceCell<Vec<Vec<f64>>>,
}

impl<'a> Jacobian<'a> {
    /// From one row and one loss per task.
    pub fn new(rows: &'a [Gradients], losses: &'a [f64]) -> Self {
        Self { rows, late: None, losses, gramian: OnceCell::new() }
    }

    /// The same with the gradients of further parameters, which are computed by rows.
    pub(super) fn with_late(self, late: LateJacobian<'a>) -> Self {
        Self { late: Some(late), ..self }
    }

    /// T, the number of tasks.
    pub fn tasks(&self) -> usize {
        self.rows.len()
    }

    /// The rows g_i. A parameter on which loss i does not depend is missing from row i and counts as zero there. For an aggregator
    /// that does not read rows ([`Aggregator::reads_rows`]) they may lack parameters whose gradients are not kept.
    ///
    /// [`Aggregator::reads_rows`]: super::Aggregator::reads_rows
    pub fn rows(&self) -> &'a [Gradients] {
        self.rows
    }

    /// The parameters that occur in any row, each once.
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
        let (mut entries, mut factors) = (Vec::new(), Vec::new());
        for name in self.names().filter(|name| !self.is_late(name)) {
            let tensors = self.rows.iter().map(|row| row.get(name).map(Tensor::contiguous).transpose());
            let tensors = tensors.collect::<candle_core::Result<Vec<_>>>()?;
            for (i, a) in tensors.iter().enumerate() {
                for (j, b) in tensors[..=i].iter().enumerate() {
                    if let (Some(a), Some(b)) = (a, b) {
                        entries.push((i, j));
                        factors.push((a.clone(), b.clone()));
                    }
                }
            }
        }
        let pairs: Vec<(&Tensor, &Tensor)> = factors.iter().map(|(a, b)| (a, b)).collect();
        let mut gramian = vec![vec![0.0; tasks]; tasks];
        for ((i, j), value) in entries.into_iter().zip(inner_products(&pairs)?) {
            gramian[i][j] += value;
            gramian[j][i] = gramian[i][j];
        }
        if let Some(late) = &self.late {
            late.add_to(&mut gramian, self.rows)?;
        }
        Ok(self.gramian.get_or_init(|| gramian))
    }

    /// `sum_i w_i g_i` over the shared parameters.
    ///
    /// # Errors
    /// If there is not one weight per task.
    pub fn weighted_sum(&self, weights: &[f64]) -> Result<Gradients> {
        require_one_per_task(weights, self.tasks())?;
        let Some(late) = &self.late else {
            let mut terms = self.rows.iter().zip(weights);
            return terms.try_fold(Gradients::new(), |sum, (row, &w)| sum.add_scaled(row, w));
        };
        let known = |row: &Gradients| row.filter(|name| !late.has(name));
        let mut terms = self.rows.iter().map(known).zip(weights);
        let sum = terms.try_fold(Gradients::new(), |sum, (row, &w)| sum.add_scaled(&row, w))?;
        late.complete(sum, self.rows, weights)
    }

    fn is_late(&self, name: &ParameterName) -> bool {
        self.late.is_some_and(|late| late.has(name))
    }

    /// Whether losses and rows are free of NaN and infinities.
    pub(super) fn is_finite(&self) -> Result<bool> {
        Ok(are_finite(self.losses) && self.gramian()?.iter().all(|row| are_finite(row)))
    }
}
