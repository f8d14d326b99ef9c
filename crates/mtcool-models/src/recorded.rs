//! A network's forward pass with a backward pass of its own, where the parameters accept gradients from it.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Result, Tensor, TensorId};
use mtcool_core::Parameters;
use mtcool_ops::{LateGradient, recorded};

/// The outputs of `body`, which applies operations of mtcool-ops, and no others, to `inputs` and to the parameters that it is
/// given. They are a recording with its own backward pass if the parameters accept gradients from outside candle's graph and no
/// input needs a gradient; otherwise they are a part of that graph.
///
/// # Errors
/// If `body` fails or uses an operation that cannot be recorded.
pub(crate) fn as_recorded(
    parameters: &Parameters,
    inputs: &[&Tensor],
    body: impl FnOnce(&Parameters) -> Result<Vec<Tensor>>,
) -> Result<Vec<Tensor>> {
    match parameters.handover() {
        Some(handover) if !inputs.iter().any(|input| input.track_op()) => {
            let receiver = handover.clone();
            let deliver = Arc::new(move |variable, gradient| receiver.give(variable, gradient));
            recorded(handover.anchor(), deliver, |recording| {
                let receiver = handover.clone();
                let take_late = Arc::new(move |gradient| receiver.give_late(Arc::new(Late(gradient))));
                recording.leave_late_to(handover.wants_late().clone(), take_late);
                let leaves = parameters.iter().map(|(name, tensor)| Ok((name.clone(), recording.leaf(tensor)?)));
                body(&leaves.collect::<Result<Parameters>>()?)
            })
        }
        _ => body(parameters),
    }
}

/// A late gradient of an operation, as methods see it.
struct Late(LateGradient);

impl mtcool_core::LateGradient for Late {
    fn leaves(&self) -> &[(TensorId, usize)] {
        self.0.variables()
    }

    fn rows(&self, rows: Range<usize>) -> Result<Tensor> {
        self.0.rows(rows)
    }
}
