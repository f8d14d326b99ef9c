//! A network's pass with a backward pass of its own, where the parameters' gradients may come that way.

use std::sync::Arc;

use candle_core::{Result, Tensor};
use mtcool_core::Parameters;
use mtcool_ops::recorded;

/// The outputs of `body`, which is made of mtcool-ops' operations on `parameters` and `inputs` alone: as a recording where the
/// parameters take gradients past candle's graph and no input asks for one, else as a part of that graph.
pub(crate) fn as_recorded(
    parameters: &Parameters,
    inputs: &[&Tensor],
    body: impl FnOnce() -> Result<Vec<Tensor>>,
) -> Result<Vec<Tensor>> {
    match parameters.handover() {
        Some(handover) if !inputs.iter().any(|input| input.track_op()) => {
            let receiver = handover.clone();
            recorded(handover.anchor(), Arc::new(move |leaf, gradient| receiver.give(leaf, gradient)), body)
        }
        _ => body(),
    }
}
