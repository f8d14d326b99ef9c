//! What is kept of a level for the backward pass.

use candle_core::{Result, Tensor};
use mtcool_core::{ParameterName, Parameters};
use mtcool_ops::recomputed;

/// The output of `body`, which computes what is inside of a level from the parameters `own` of the level and from `maps`. If it
/// `is_recomputed`, only `own` and `maps` are kept for the backward pass.
pub(super) fn level(
    is_recomputed: bool,
    own: &Parameters,
    maps: &[&Tensor],
    body: impl Fn(&Parameters, &[Tensor]) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    if !is_recomputed {
        return body(own, &maps.iter().map(|&map| map.clone()).collect::<Vec<_>>());
    }
    let names: Vec<ParameterName> = own.iter().map(|(name, _)| name.clone()).collect();
    let operands: Vec<&Tensor> = maps.iter().copied().chain(own.iter().map(|(_, tensor)| tensor)).collect();
    let count = maps.len();
    recomputed(&operands, move |operands| {
        let (maps, tensors) = operands.split_at(count);
        body(&names.iter().cloned().zip(tensors.iter().cloned()).collect(), maps)
    })
}

/// Whether the parameter `name` belongs to the block `layer`, such as `enc0` or `up1`.
pub(super) fn is_of(name: &ParameterName, layer: &str) -> bool {
    name.layer.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'))
}
