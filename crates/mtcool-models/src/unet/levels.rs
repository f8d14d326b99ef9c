//! The levels of encoder and decoders, and what is kept of them for the backward pass.

use candle_core::{Result, Tensor};
use mtcool_core::{ParameterKind, ParameterName, Parameters};
use mtcool_ops::{ChainInput, Conv2d, conv2d, recomputed};

use super::UNet;
use crate::conv_norm::chained;

impl UNet {
    /// Logits `[B, K, H, W]` of the decoder of task `task` from the encoder's features.
    pub(super) fn segment(&self, parameters: &Parameters, task: usize, features: &[Tensor]) -> Result<Tensor> {
        let (norm, precision) = (self.norm(), self.config.precision);
        let mut x = features[self.config.depth].clone();
        for (index, units) in self.decoders[task].iter().enumerate().rev() {
            let is_top = index == 0;
            let layers = [format!("up{index}"), format!("dec{index}"), "out".to_owned()];
            let layers = &layers[..if is_top { 3 } else { 2 }];
            let is_own = |name: &ParameterName| name.kind == ParameterKind::Phi && name.task == task;
            let own = parameters.filter(|name| is_own(name) && layers.iter().any(|layer| is_of(name, layer)));
            let units = units.clone();
            let is_recomputed = index < self.config.recomputed_levels;
            x = level(is_recomputed, &own, &[&features[index], &x], move |parameters, maps| {
                let kernel = parameters.phi(task, &format!("up{index}.weight"))?;
                let bias = parameters.phi(task, &format!("up{index}.bias"))?;
                let input = ChainInput::Raised { skip: &maps[0], low: &maps[1], kernel, bias };
                let x = chained(parameters, input, &units, norm, precision)?;
                if !is_top {
                    return Ok(x);
                }
                let settings = Conv2d { precision, ..Conv2d::default() };
                conv2d(&x, parameters.phi(task, "out.weight")?, Some(parameters.phi(task, "out.bias")?), settings)
            })?;
        }
        Ok(x)
    }
}

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
