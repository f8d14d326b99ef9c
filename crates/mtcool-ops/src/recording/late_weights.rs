//! Which weights of a recording may have late gradients.

use std::sync::Arc;

use candle_core::{Tensor, TensorId};
use indexmap::IndexMap;

use super::late::LateGradient;
use super::tape::{Operation, Record, Tape};

/// The variables that each weight consists of, one above the other, with their rows; by the weight.
pub(super) struct LateWeights(IndexMap<TensorId, Vec<(TensorId, usize)>>);

impl LateWeights {
    /// The weights that one record alone reads and that consist of variables which nothing else reads.
    pub(super) fn of(tape: &Tape, records: &[Arc<Record>]) -> Self {
        let mut readers: IndexMap<TensorId, usize> = IndexMap::new();
        for operand in records.iter().flat_map(|record| &record.operands) {
            *readers.entry(operand.id()).or_default() += 1;
        }
        let is_read_once = |tensor: &Tensor| readers.get(&tensor.id()) == Some(&1);
        let variable = |leaf: &Tensor| {
            let rows = leaf.dims().first().copied()?;
            tape.variable_of(leaf.id()).filter(|_| is_read_once(leaf)).map(|variable| (variable, rows))
        };
        let stacked = |weight: &Tensor| {
            let pack = records.iter().find(|record| record.output == weight.id())?;
            let is_stack = matches!(pack.operation, Operation::Pack)
                && pack.operands.iter().all(|part| part.dims().get(1..) == weight.dims().get(1..));
            pack.operands.iter().filter(|_| is_stack).map(variable).collect::<Option<Vec<_>>>()
        };
        let of_weight = |record: &Arc<Record>| {
            let weight = record.operands.get(1).filter(|weight| record.late.is_some() && is_read_once(weight))?;
            let variables = variable(weight).map(|only| vec![only]).or_else(|| stacked(weight))?;
            (!variables.is_empty()).then(|| (weight.id(), variables))
        };
        Self(records.iter().filter_map(of_weight).collect())
    }

    /// The gradient of the weight of `record` for later, from the gradient of its output, and the record's operands without the weight's
    /// graph. `None` if nothing is saved, or the gradient cannot be late.
    pub(super) fn split(&self, record: &Record, gradient: &Tensor) -> Option<(LateGradient, Vec<Tensor>)> {
        let (Some(layer), Some(output), [x, weight, ..]) = (&record.late, &record.value, &record.operands[..]) else {
            return None;
        };
        let variables = self.0.get(&weight.id())?;
        if weight.elem_count() <= gradient.elem_count() || !layer.is_divisible(weight.dims()[0]) {
            return None;
        }
        let late = LateGradient {
            variables: variables.clone(),
            layer: layer.clone(),
            x: x.detach(),
            weight: weight.clone(),
            output: output.detach(),
            gradient: gradient.detach(),
        };
        let without_weight = |(at, operand): (usize, &Tensor)| if at == 1 { operand.detach() } else { operand.clone() };
        Some((late, record.operands.iter().enumerate().map(without_weight).collect()))
    }
}
