//! A pass of a network over pictures that some of its tasks share.

use candle_core::{Result, Tensor};
use mtcool_core::{Network, Parameters};

/// The outputs of `tasks` for the pictures `inputs` `[B, C, H, W]`.
///
/// # Errors
/// If the network does not fit the inputs.
pub(super) fn forward(
    network: &dyn Network,
    parameters: &Parameters,
    tasks: &[usize],
    inputs: &Tensor,
) -> Result<Vec<Tensor>> {
    if tasks.len() == network.tasks() {
        return network.forward_all(parameters, &vec![inputs; tasks.len()]);
    }
    tasks.iter().map(|&task| network.forward(parameters, task, inputs)).collect()
}
