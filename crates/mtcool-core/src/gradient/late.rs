//! The tasks' gradients of large shared parameters, computed a few rows at a time wherever they are needed.

use std::ops::Range;

use candle_core::Tensor;

use crate::error::Result;
use crate::inner_products::inner_products;
use crate::late_gradient::LateRows;
use crate::parameter_name::ParameterName;
use crate::parameters::{Gradients, Parameters};

/// The gradients that the tasks' backward passes have left for later.
#[derive(Clone, Copy, Debug)]
pub(super) struct LateJacobian<'a> {
    /// For each task, those of its own pass.
    rows: &'a [Vec<LateRows>],
    /// In whose order directions are.
    parameters: &'a Parameters,
}

/// Where the gradient of one parameter for one task is.
enum Source<'a> {
    Known(&'a Tensor),
    Late(&'a LateRows),
}

impl Source<'_> {
    fn rows(&self, rows: Range<usize>) -> Result<Tensor> {
        Ok(match self {
            Self::Known(gradient) => gradient.narrow(0, rows.start, rows.len())?.contiguous()?,
            Self::Late(late) => late.rows(rows)?,
        })
    }
}

/// The gradients of one parameter that is late for at least one task: a source per task, `None` where there is no gradient.
struct LateParameter<'a> {
    name: &'a ParameterName,
    sources: Vec<Option<Source<'a>>>,
    rows: usize,
    rows_at_once: usize,
}

impl LateParameter<'_> {
    /// Blocks of rows. The blocks of all T tasks are together no larger than the gradient of one layer.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (rows, rows_at_once) = (self.rows, self.rows_at_once);
        (0..rows).step_by(rows_at_once).map(move |start| start..rows.min(start + rows_at_once))
    }
}

impl<'a> LateJacobian<'a> {
    /// From the late gradients of each task, of `parameters`.
    pub(super) fn new(rows: &'a [Vec<LateRows>], parameters: &'a Parameters) -> Self {
        Self { rows, parameters }
    }

    /// Whether a task's gradient of this parameter is late.
    pub(super) fn has(&self, name: &ParameterName) -> bool {
        self.rows.iter().flatten().any(|late| late.name == *name)
    }

    fn parameters<'b>(&self, known: &'b [Gradients]) -> impl Iterator<Item = LateParameter<'b>> + use<'a, 'b>
    where
        'a: 'b,
    {
        let (this, tasks) = (*self, self.rows.len());
        this.parameters.iter().filter_map(move |(name, _)| {
            let late: Vec<Option<&LateRows>> =
                this.rows.iter().map(|late| late.iter().find(|late| late.name == *name)).collect();
            let first = late.iter().flatten().next()?;
            let (rows, rows_at_once) = (first.place.len(), first.rows_of_layer.div_ceil(tasks).max(1));
            let source = |(late, known): (&Option<&'b LateRows>, &'b Gradients)| {
                late.map(Source::Late).or_else(|| known.get(name).map(Source::Known))
            };
            let sources = late.iter().zip(known).map(source).collect();
            Some(LateParameter { name, sources, rows, rows_at_once })
        })
    }

    /// Adds the part of these parameters to the `gramian` `[T, T]`; `known` are the tasks' other gradients.
    ///
    /// # Errors
    /// If rows cannot be computed, or two tasks disagree on their shape.
    pub(super) fn add_to(&self, gramian: &mut [Vec<f64>], known: &[Gradients]) -> Result<()> {
        for parameter in self.parameters(known) {
            for block in parameter.blocks() {
                let (mut tasks, mut rows) = (Vec::new(), Vec::new());
                for (task, source) in parameter.sources.iter().enumerate() {
                    if let Some(source) = source {
                        tasks.push(task);
                        rows.push(source.rows(block.clone())?.contiguous()?);
                    }
                }
                let places: Vec<_> = (0..tasks.len()).flat_map(|i| (0..=i).map(move |j| (i, j))).collect();
                let pairs: Vec<_> = places.iter().map(|&(i, j)| (&rows[i], &rows[j])).collect();
                for ((i, j), value) in places.iter().zip(inner_products(&pairs)?) {
                    let (i, j) = (tasks[*i], tasks[*j]);
                    gramian[i][j] += value;
                    gramian[j][i] = gramian[i][j];
                }
            }
        }
        Ok(())
    }

    /// Completes the weighted sum of the `known` gradients to `sum_i w_i g_i`, in the order of the parameters.
    ///
    /// # Errors
    /// If rows cannot be computed, or two tasks disagree on their shape.
    pub(super) fn complete(&self, mut sum: Gradients, known: &[Gradients], weights: &[f64]) -> Result<Gradients> {
        for parameter in self.parameters(known) {
            let of_block = |block: Range<usize>| -> Result<Option<Tensor>> {
                let mut sum = Gradients::new();
                for (source, &weight) in parameter.sources.iter().zip(weights) {
                    if let Some(source) = source {
                        let rows = Gradients::from_iter([(parameter.name.clone(), source.rows(block.clone())?)]);
                        sum = sum.add_scaled(&rows, weight)?;
                    }
                }
                Ok(sum.get(parameter.name).cloned())
            };
            let blocks =
                parameter.blocks().filter_map(|block| of_block(block).transpose()).collect::<Result<Vec<_>>>()?;
            let whole = match &blocks[..] {
                [only] => only.clone(),
                several => Tensor::cat(several, 0)?,
            };
            sum.insert(parameter.name.clone(), whole);
        }
        let in_order = self.parameters.iter().filter_map(|(name, _)| Some((name.clone(), sum.get(name)?.clone())));
        Ok(in_order.collect())
    }
}
