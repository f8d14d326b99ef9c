//! The backward pass of a recording: through its records, the last first.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, TensorId, bail};
use indexmap::IndexMap;
use rayon::prelude::*;

use super::late_weights::LateWeights;
use super::tape::{Body, Operation, Record, Tape};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::on_elements;
use crate::jobs::ELEMENTS_A_JOB;

/// The gradients of the recorded variables, by the variables' ids, from the gradients of outputs.
///
/// # Errors
/// If an operation's backward pass fails, or the last backward pass has been.
pub(super) fn replay(tape: &Tape, outputs: Vec<(TensorId, Tensor)>) -> Result<Vec<(TensorId, Tensor)>> {
    let of_variables = of_leaves(tape, outputs)?.into_iter().map(|(leaf, gradient)| match tape.variable_of(leaf) {
        Some(variable) => Ok((variable, gradient)),
        None => bail!("recorded: a gradient of a tensor that is neither a leaf nor the output of an operation"),
    });
    of_variables.collect()
}

/// The same by the leaves' ids, without the gradients that are left for later.
fn of_leaves(tape: &Tape, outputs: Vec<(TensorId, Tensor)>) -> Result<IndexMap<TensorId, Tensor>> {
    let mut gradients = IndexMap::new();
    for (id, gradient) in outputs {
        add(&mut gradients, id, gradient)?;
    }
    let (mut records, is_last) = tape.records()?;
    let late = tape.late().map(|receiver| (receiver, LateWeights::of(tape, &records)));
    // Each record ends here, with its operands and what it has kept, unless the tape has it still.
    while let Some(record) = records.pop() {
        // No gradient: this backward pass started from outputs that do not depend on the record.
        let Some(gradient) = gradients.swap_remove(&record.output) else { continue };
        let split = late.as_ref().and_then(|(receiver, weights)| Some((receiver, weights.split(&record, &gradient)?)));
        let of_operands = match split {
            Some((receiver, (late, operands))) => {
                (receiver.take)(late);
                backward(&record, &operands, gradient, is_last)?
            }
            None => backward(&record, &record.operands, gradient, is_last)?,
        };
        for (operand, of_operand) in record.operands.iter().zip(of_operands) {
            if let Some(of_operand) = of_operand.filter(|_| operand.track_op()) {
                add(&mut gradients, operand.id(), of_operand)?;
            }
        }
    }
    Ok(gradients)
}

/// Gradients of `operands`, those of a record or the same values without a graph, from that of the record's output.
fn backward(record: &Record, operands: &[Tensor], gradient: Tensor, is_last: bool) -> Result<Vec<Option<Tensor>>> {
    match (&record.operation, operands, &record.value) {
        (Operation::One(op), [x], Some(output)) => Ok(vec![op.bwd(x, output, &gradient)?]),
        (Operation::Two(op), [x, y], Some(output)) => {
            let (x, y) = op.bwd(x, y, output, &gradient)?;
            Ok(vec![x, y])
        }
        (Operation::Three(op), [x, y, z], Some(output)) => {
            let (x, y, z) = op.bwd(x, y, z, output, &gradient)?;
            Ok(vec![x, y, z])
        }
        (Operation::Pack, parts, _) => {
            let gradient = gradient.contiguous()?.flatten_all()?;
            let mut start = 0;
            let of_part = |part: &Tensor| {
                start += part.elem_count();
                gradient.narrow(0, start - part.elem_count(), part.elem_count())?.reshape(part.shape()).map(Some)
            };
            parts.iter().map(of_part).collect()
        }
        (Operation::Own(operation), operands, _) => operation.gradients(operands, gradient, is_last),
        (Operation::Recomputed(body), operands, _) => again(body, operands, gradient),
        (_, operands, _) => bail!("recorded: an operation on {} operands", operands.len()),
    }
}

/// Gradients of the operands of `body` from that of its output: the operations are recorded now, and this recording is read
/// once, so that each of its records ends when it has been used.
fn again(body: &Body, operands: &[Tensor], gradient: Tensor) -> Result<Vec<Option<Tensor>>> {
    let tape = Arc::new(Tape::default());
    tape.release_when(Arc::new(AtomicBool::new(true)));
    let leaf = |operand: &Tensor| if operand.track_op() { tape.leaf(operand) } else { Ok(operand.clone()) };
    let leaves = operands.iter().map(leaf).collect::<Result<Vec<_>>>()?;
    let output = body(&leaves)?;
    tape.check(&[&output])?;
    let id = output.id();
    // In candle's graph, the output holds the operations before it.
    drop(output);
    let mut gradients = of_leaves(&tape, vec![(id, gradient)])?;
    Ok(leaves.iter().map(|leaf| gradients.swap_remove(&leaf.id())).collect())
}

/// Adds `gradient` to what `gradients` has for the tensor `id`.
fn add(gradients: &mut IndexMap<TensorId, Tensor>, id: TensorId, gradient: Tensor) -> Result<()> {
    let sum = match gradients.get(&id) {
        None => gradient,
        // Not in place: either tensor may also be part of a larger gradient, or the gradient of another tensor.
        Some(earlier) => earlier.contiguous()?.apply_op2_no_bwd(&gradient.contiguous()?, &Sum)?,
    };
    gradients.insert(id, sum);
    Ok(())
}

/// The sum of two gradients of one tensor, element by element.
struct Sum;

impl CustomOp2 for Sum {
    fn name(&self) -> &'static str {
        "sum-of-gradients"
    }

    fn cpu_fwd(&self, a: &CpuStorage, al: &Layout, b: &CpuStorage, bl: &Layout) -> Result<(CpuStorage, Shape)> {
        if al.shape() != bl.shape() {
            bail!("{}: {:?} and {:?} of one tensor", self.name(), al.shape(), bl.shape());
        }
        let sum = on_elements!(self.name(), T, a: al, b: bl => {
            a.par_iter().zip(b).with_min_len(ELEMENTS_A_JOB).map(|(&a, &b)| a + b).collect()
        });
        Ok((sum, al.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, a: &CudaStorage, al: &Layout, b: &CudaStorage, bl: &Layout) -> Result<(CudaStorage, Shape)> {
        let (name, device) = (self.name(), &a.device);
        if al.shape() != bl.shape() {
            bail!("{name}: {:?} and {:?} of one tensor", al.shape(), bl.shape());
        }
        cuda::dispatch!(name, a, T => {
            let sum = cuda::add::<T>(device, &cuda::view(name, a, al)?, &cuda::view(name, b, bl)?)?;
            Ok(cuda::result(sum, device, al.shape()))
        })
    }
}
