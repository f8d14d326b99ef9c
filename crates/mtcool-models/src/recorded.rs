//! A network's pass with a backward pass of its own, where the parameters' gradients may come that way.

use std::sync::Arc;

use candle_core::{Result, Tensor};
use mtcool_core::Parameters;
use mtcool_ops::recorded;

/// The outputs of `body`, which consists of mtcool-ops' operations on `inputs` and on the parameters that it is given: as a
/// recording where `parameters` take gradients past candle's graph and no input asks for one, else as a part of that graph.
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
                let leaves = parameters.iter().map(|(name, tensor)| Ok((name.clone(), recording.leaf(tensor)?)));
                body(&leaves.collect::<Result<Parameters>>()?)
            })
        }
        _ => body(parameters),
    }
}
