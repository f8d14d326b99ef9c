//! How this crate's operations run: in candle's graph, and, where an operand belongs to a recording, with a record there.

use std::sync::Arc;

use candle_core::{CustomOp1, CustomOp2, CustomOp3, Result, Tensor, bail};

use super::late::LateWeight;
use super::tape::{Operation, OwnBackward, tape_of};

/// `tensor` with its elements in order.
///
/// # Errors
/// If the elements of a recorded tensor would have to be copied: the copy would be missing from the recording.
pub(crate) fn contiguous(tensor: &Tensor) -> Result<Tensor> {
    if !tensor.is_contiguous() && tape_of(tensor).is_some() {
        bail!("recorded: an operand of strides {:?}: expected a contiguous one", tensor.stride());
    }
    tensor.contiguous()
}

/// Adds `output` to the recording that an operand belongs to, if one does.
///
/// # Errors
/// If another operand neither belongs to the same recording nor is a constant.
fn record(operation: Operation, operands: &[&Tensor], output: Tensor) -> Result<Tensor> {
    record_late(operation, None, operands, output)
}

/// [`record`] of an operation whose weight's gradient may come later.
fn record_late(
    operation: Operation,
    late: Option<Arc<dyn LateWeight>>,
    operands: &[&Tensor],
    output: Tensor,
) -> Result<Tensor> {
    if let Some(tape) = operands.iter().find_map(|operand| tape_of(operand)) {
        tape.record(operation, late, operands, &output)?;
    }
    Ok(output)
}

/// `op` on a tensor.
pub(crate) fn apply1<C: CustomOp1 + Send + Sync + 'static>(x: &Tensor, op: C) -> Result<Tensor> {
    let x = contiguous(x)?;
    let op: Arc<Box<dyn CustomOp1 + Send + Sync>> = Arc::new(Box::new(op));
    let output = x.apply_op1_arc(op.clone())?;
    record(Operation::One(op), &[&x], output)
}

/// `op` on two tensors.
pub(crate) fn apply2<C: CustomOp2 + Send + Sync + 'static>(x: &Tensor, y: &Tensor, op: C) -> Result<Tensor> {
    let (x, y) = (contiguous(x)?, contiguous(y)?);
    let op: Arc<Box<dyn CustomOp2 + Send + Sync>> = Arc::new(Box::new(op));
    let output = x.apply_op2_arc(&y, op.clone())?;
    record(Operation::Two(op), &[&x, &y], output)
}

/// `op` on three tensors.
pub(crate) fn apply3<C>(x: &Tensor, y: &Tensor, z: &Tensor, op: C) -> Result<Tensor>
where
    C: CustomOp3 + Send + Sync + 'static,
{
    let (x, y, z) = (contiguous(x)?, contiguous(y)?, contiguous(z)?);
    let op: Arc<Box<dyn CustomOp3 + Send + Sync>> = Arc::new(Box::new(op));
    let output = x.apply_op3_arc(&y, &z, op.clone())?;
    record(Operation::Three(op), &[&x, &y, &z], output)
}

/// `op`, the forward pass of `own`, on two or three tensors.
///
/// # Errors
/// If there are more or fewer, or the operation fails.
pub(crate) fn apply_own<C>(operands: &[&Tensor], op: C, own: Arc<dyn OwnBackward>) -> Result<Tensor>
where
    C: CustomOp2 + CustomOp3 + Send + Sync + 'static,
{
    let operands = operands.iter().map(|operand| contiguous(operand)).collect::<Result<Vec<_>>>()?;
    let output = match &operands[..] {
        [x, y] => x.apply_op2_arc(y, Arc::new(Box::new(op)))?,
        [x, y, z] => x.apply_op3_arc(y, z, Arc::new(Box::new(op)))?,
        operands => bail!("an operation on {} operands: expected two or three", operands.len()),
    };
    record(Operation::Own(own), &operands.iter().collect::<Vec<_>>(), output)
}

/// [`apply2`] for a layer of an input and a weight, whose gradient may come later, by `late`.
pub(crate) fn apply_late2<C>(x: &Tensor, weight: &Tensor, op: C, late: Arc<dyn LateWeight>) -> Result<Tensor>
where
    C: CustomOp2 + Send + Sync + 'static,
{
    let (x, weight) = (contiguous(x)?, contiguous(weight)?);
    let op: Arc<Box<dyn CustomOp2 + Send + Sync>> = Arc::new(Box::new(op));
    let output = x.apply_op2_arc(&weight, op.clone())?;
    record_late(Operation::Two(op), Some(late), &[&x, &weight], output)
}

/// [`apply3`] for a layer of an input, a weight, whose gradient may come later, by `late`, and a bias.
pub(crate) fn apply_late3<C>(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    op: C,
    late: Arc<dyn LateWeight>,
) -> Result<Tensor>
where
    C: CustomOp3 + Send + Sync + 'static,
{
    let (x, weight, bias) = (contiguous(x)?, contiguous(weight)?, contiguous(bias)?);
    let op: Arc<Box<dyn CustomOp3 + Send + Sync>> = Arc::new(Box::new(op));
    let output = x.apply_op3_arc(&weight, &bias, op.clone())?;
    record_late(Operation::Three(op), Some(late), &[&x, &weight, &bias], output)
}

/// The elements of all `parts` in turn, as one vector.
///
/// # Errors
/// If the parts differ in dtype.
pub(crate) fn pack(parts: &[&Tensor]) -> Result<Tensor> {
    let flat = parts.iter().map(|part| contiguous(part)?.flatten_all()).collect::<Result<Vec<_>>>()?;
    record(Operation::Pack, parts, Tensor::cat(&flat, 0)?)
}

/// `parts` one above the other: `[sum R_i, ...]` from `[R_i, ...]`.
///
/// # Errors
/// If the parts differ in dtype or in more than their first dimension.
pub fn stack_rows(parts: &[&Tensor]) -> Result<Tensor> {
    if let [part] = parts {
        return Ok((*part).clone());
    }
    record(Operation::Pack, parts, Tensor::cat(parts, 0)?)
}

/// `x` `[B, ...]` with the features of each sample in one row, `[B, F]`.
///
/// # Errors
/// If `x` is a scalar.
pub fn flatten_features(x: &Tensor) -> Result<Tensor> {
    if x.rank() == 2 {
        return Ok(x.clone());
    }
    let x = contiguous(x)?;
    record(Operation::Pack, &[&x], x.flatten_from(1)?)
}

/// Features `[B, F]` as a map of one pixel, `[B, F, 1, 1]`.
///
/// # Errors
/// If `x` has not two dimensions.
pub(crate) fn as_map(x: &Tensor) -> Result<Tensor> {
    let (batch, features) = x.dims2()?;
    let x = contiguous(x)?;
    record(Operation::Pack, &[&x], x.reshape((batch, features, 1, 1))?)
}
