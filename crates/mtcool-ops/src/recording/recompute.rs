//! Memory for time: operations of which a recording keeps the operands alone (Chen et al. 2016, "Training Deep Nets with
//! Sublinear Memory Cost").

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};

use super::nodes::Follower;
use super::tape::{Operation, tape_of};

/// The output of `body`, which applies operations of this crate to `operands`. A recording that they belong to keeps the operands
/// and nothing that `body` computes: the backward pass computes it again, which costs about one more forward pass of `body`. Values
/// and gradients have the same bits as without.
///
/// `body` works on the tensors that it is given, which take the place of the operands, in their order, and on constants. It is
/// called again in each backward pass and must do the same each time.
///
/// Outside of a recording, this is `body(operands)`: candle's graph keeps what its operations keep.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use candle_core::{DType, Device, Var};
/// use mtcool_ops::{mean_pixels, recomputed, recorded, relu};
///
/// # fn main() -> candle_core::Result<()> {
/// let x = Var::ones((1, 1, 2, 2), DType::F32, &Device::Cpu)?;
/// let anchor = Var::zeros(1, DType::F32, &Device::Cpu)?;
/// let given = Arc::new(Mutex::new(Vec::new()));
/// let receiver = given.clone();
/// let deliver = Arc::new(move |_, gradient| receiver.lock().unwrap().push(gradient));
/// let means = recorded(&anchor, deliver, |recording| {
///     let x = recording.leaf(&x)?;
///     // The activated map exists while this is computed, and again in the backward pass.
///     Ok(vec![recomputed(&[&x], |operands| mean_pixels(&relu(&operands[0])?))?])
/// })?;
/// means[0].sum_all()?.backward()?;
/// assert_eq!(given.lock().unwrap()[0].flatten_all()?.to_vec1::<f32>()?, [0.25; 4]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If `body` fails or uses a tensor that needs a gradient and is none of the operands, or the operands belong to several
/// recordings.
pub fn recomputed(
    operands: &[&Tensor],
    body: impl Fn(&[Tensor]) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let given: Vec<Tensor> = operands.iter().map(|&operand| operand.clone()).collect();
    let Some(tape) = operands.iter().find_map(|operand| tape_of(operand)) else { return body(&given) };
    let Some(tracked) = operands.iter().find(|operand| operand.track_op()) else { return body(&given) };
    let constants: Vec<Tensor> = operands.iter().map(|operand| operand.detach()).collect();
    let value = body(&constants)?;
    if value.track_op() {
        bail!(
            "recomputed: the output follows from a variable that is none of the operands, so its gradient would be lost"
        );
    }
    let output = tracked.apply_op1(Follower::of_operand(value))?;
    tape.record(Operation::Recomputed(Arc::new(body)), None, operands, &output)?;
    Ok(output)
}
