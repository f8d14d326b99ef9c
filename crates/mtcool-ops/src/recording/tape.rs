//! The records, and the way back through them.

use std::sync::Arc;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, TensorId, WithDType, bail,
};
use indexmap::{IndexMap, IndexSet};
use rayon::prelude::*;

use super::{Scope, State};
use crate::activation::ELEMENTS_A_JOB;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::{dispatch, elements};

/// What was done.
pub(super) enum Operation {
    One(Arc<Box<dyn CustomOp1 + Send + Sync>>),
    Two(Arc<Box<dyn CustomOp2 + Send + Sync>>),
    Three(Arc<Box<dyn CustomOp3 + Send + Sync>>),
    /// The operands' elements in turn.
    Pack,
}

struct Record {
    operation: Operation,
    operands: Vec<Tensor>,
    output: Tensor,
}

/// What was done, in order, to what is tracked.
#[derive(Default)]
pub(super) struct Tape {
    records: Vec<Record>,
    /// Outputs of the records.
    outputs: IndexSet<TensorId>,
}

impl Tape {
    pub(super) fn tracks(&self, tensor: &Tensor) -> bool {
        tensor.is_variable() || self.outputs.contains(&tensor.id())
    }

    /// # Errors
    /// If one of `tensors` follows from variables by something that is not on record.
    pub(super) fn check(&self, tensors: &[&Tensor]) -> Result<()> {
        if tensors.iter().any(|tensor| tensor.track_op() && !self.tracks(tensor)) {
            bail!(
                "recorded: a tensor follows from variables by an operation that is not of mtcool-ops, so gradients would not get through: use mtcool-ops' operations inside, and variables or constants from outside"
            );
        }
        Ok(())
    }

    /// # Errors
    /// As [`Tape::check`], of the operands.
    pub(super) fn record(&mut self, operation: Operation, operands: &[&Tensor], output: &Tensor) -> Result<()> {
        self.check(operands)?;
        if operands.iter().any(|operand| self.tracks(operand)) {
            self.outputs.insert(output.id());
            let operands = operands.iter().map(|operand| (*operand).clone()).collect();
            self.records.push(Record { operation, operands, output: output.clone() });
        }
        Ok(())
    }

    /// The gradients of the variables, from those of outputs.
    ///
    /// # Errors
    /// If an operation's backward pass fails.
    pub(super) fn replay(self: &Arc<Self>, outputs: Vec<(TensorId, Tensor)>) -> Result<IndexMap<TensorId, Tensor>> {
        let _scope = Scope::open(State::Replaying(self.clone()))?;
        let mut gradients = IndexMap::new();
        for (id, gradient) in outputs {
            add(&mut gradients, id, gradient)?;
        }
        for record in self.records.iter().rev() {
            // What no output asked for follows from nothing that is in this backward pass.
            let Some(gradient) = gradients.swap_remove(&record.output.id()) else { continue };
            for (operand, of_operand) in record.operands.iter().zip(record.backward(&gradient)?) {
                if let Some(of_operand) = of_operand.filter(|_| self.tracks(operand)) {
                    add(&mut gradients, operand.id(), of_operand)?;
                }
            }
        }
        Ok(gradients)
    }
}

impl Record {
    /// Gradients of the operands.
    fn backward(&self, gradient: &Tensor) -> Result<Vec<Option<Tensor>>> {
        match (&self.operation, &self.operands[..]) {
            (Operation::One(op), [x]) => Ok(vec![op.bwd(x, &self.output, gradient)?]),
            (Operation::Two(op), [x, y]) => {
                let (x, y) = op.bwd(x, y, &self.output, gradient)?;
                Ok(vec![x, y])
            }
            (Operation::Three(op), [x, y, z]) => {
                let (x, y, z) = op.bwd(x, y, z, &self.output, gradient)?;
                Ok(vec![x, y, z])
            }
            (Operation::Pack, parts) => {
                let gradient = gradient.contiguous()?.flatten_all()?;
                let mut start = 0;
                let of_part = |part: &Tensor| {
                    start += part.elem_count();
                    gradient.narrow(0, start - part.elem_count(), part.elem_count())?.reshape(part.shape()).map(Some)
                };
                parts.iter().map(of_part).collect()
            }
            (_, operands) => bail!("recorded: an operation on {} operands", operands.len()),
        }
    }
}

fn add(gradients: &mut IndexMap<TensorId, Tensor>, id: TensorId, gradient: Tensor) -> Result<()> {
    let sum = match gradients.get(&id) {
        None => gradient,
        // Not in place: either may be seen from elsewhere, as a part of a larger gradient or the gradient of another.
        Some(earlier) => earlier.contiguous()?.apply_op2_no_bwd(&gradient.contiguous()?, &Sum)?,
    };
    gradients.insert(id, sum);
    Ok(())
}

/// Element by element.
struct Sum;

impl CustomOp2 for Sum {
    fn name(&self) -> &'static str {
        "sum-of-gradients"
    }

    fn cpu_fwd(&self, a: &CpuStorage, al: &Layout, b: &CpuStorage, bl: &Layout) -> Result<(CpuStorage, Shape)> {
        if al.shape() != bl.shape() {
            bail!("{}: {:?} and {:?} of one tensor", self.name(), al.shape(), bl.shape());
        }
        let sum = dispatch!(self.name(), a, T => {
            let (a, b) = (elements::<T>(self.name(), a, al)?, elements::<T>(self.name(), b, bl)?);
            let pairs = a.par_iter().zip(b).with_min_len(ELEMENTS_A_JOB);
            T::to_cpu_storage_owned(pairs.map(|(&a, &b)| a + b).collect())
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
