//! Several operations as one node of candle's graph, with a backward pass of their own.
//!
//! candle's backward pass gives every operand a tensor of zeros and adds the gradient to it, for maps as for parameters:
//! a sixth of a U-Net's step. A recording avoids that. Its backward pass runs through the recorded operations, the last
//! first, passes a gradient on as it is, adds two gradients only where a tensor has two, and gives those of the variables
//! to the caller.
//!
//! The tensors themselves say what is recorded: an operation on a leaf of a recording, or on the output of a recorded
//! operation, is recorded there. No thread has a state, so any number of recordings may be open on one thread or in one
//! thread pool, in any order, and none of them sees another.

mod apply;
mod late;
mod late_weights;
mod nodes;
mod recompute;
mod replay;
mod tape;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use candle_core::{Result, Tensor, bail};

use late::LateReceiver;
use nodes::{Follower, Junction, Pending};
use tape::Tape;

pub(crate) use apply::{apply_late2, apply_late3, apply_own, apply1, apply2, apply3, as_map, pack};
pub use apply::{flatten_features, stack_rows};
pub use late::LateGradient;
pub(crate) use late::LateWeight;
pub use nodes::Deliver;
pub use recompute::recomputed;
pub(crate) use tape::{OwnBackward, wants_late};

/// A recording that is being made: the handle that [`recorded`] gives to its body.
pub struct Recording {
    tape: Arc<Tape>,
}

impl Recording {
    /// The tensor to use for `tensor` inside this recording: for a variable a leaf, which shares the variable's memory; for a
    /// constant the constant itself.
    ///
    /// # Errors
    /// If `tensor` follows from variables in candle's graph: a recording starts at variables.
    pub fn leaf(&self, tensor: &Tensor) -> Result<Tensor> {
        if tensor.is_variable() {
            return self.tape.leaf(tensor);
        }
        self.tape.check(&[tensor])?;
        Ok(tensor.clone())
    }

    /// From now on, a backward pass that finds `is_last` true is the last one through this recording: it frees what the recording
    /// has kept as soon as it has used it. A further one is an error.
    pub fn release_when(&self, is_last: Arc<AtomicBool>) {
        self.tape.release_when(is_last);
    }

    /// From now on, a backward pass that finds `is_wanted` true leaves gradients of large weights for later: they go to `take` instead
    /// of being computed. A weight is large if it has more elements than the output of its layer.
    pub fn leave_late_to(&self, is_wanted: Arc<AtomicBool>, take: Arc<dyn Fn(LateGradient) + Send + Sync>) {
        self.tape.leave_late_to(LateReceiver { is_wanted, take });
    }
}

/// The outputs of `body`, each as if it followed from `anchor` alone, a variable of one element that keeps the graph alive.
///
/// `body` makes leaves of the variables it uses with [`Recording::leaf`], and works on them with operations of this
/// crate. When candle's backward pass over something made of the outputs gets here, the gradients of the variables go to
/// `deliver`, and `anchor` gets none. Backward passes through one recording must not overlap in time: they would deliver
/// to the same place.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use candle_core::{DType, Device, Var};
/// use mtcool_ops::{mean_pixels, recorded};
///
/// # fn main() -> candle_core::Result<()> {
/// let x = Var::ones((1, 1, 2, 2), DType::F32, &Device::Cpu)?;
/// let anchor = Var::zeros(1, DType::F32, &Device::Cpu)?;
/// let given = Arc::new(Mutex::new(Vec::new()));
/// let receiver = given.clone();
/// let deliver = Arc::new(move |_, gradient| receiver.lock().unwrap().push(gradient));
/// let means = recorded(&anchor, deliver, |recording| Ok(vec![mean_pixels(&recording.leaf(&x)?)?]))?;
/// means[0].sum_all()?.backward()?;
/// assert_eq!(given.lock().unwrap()[0].flatten_all()?.to_vec1::<f32>()?, [0.25; 4]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If `body` fails, an operand or output follows from variables by anything but recorded operations, or the anchor is no
/// variable.
pub fn recorded(
    anchor: &Tensor,
    deliver: Deliver,
    body: impl FnOnce(&Recording) -> Result<Vec<Tensor>>,
) -> Result<Vec<Tensor>> {
    if !anchor.is_variable() {
        bail!("recorded: the anchor is a constant: expected a variable, which the outputs' gradients can flow to");
    }
    let tape = Arc::new(Tape::default());
    let outputs = body(&Recording { tape: tape.clone() })?;
    tape.check(&outputs.iter().collect::<Vec<_>>())?;
    let tracked: Vec<bool> = outputs.iter().map(|output| tape.holds(output)).collect();
    let pending = Pending::default();
    let junction = Junction { tape, pending: pending.clone(), deliver };
    let junction = anchor.apply_op1(junction)?;
    let node = |(output, is_tracked): (Tensor, bool)| {
        if is_tracked { junction.apply_op1(Follower::of_junction(output, &pending)) } else { Ok(output) }
    };
    outputs.into_iter().zip(tracked).map(node).collect()
}
