//! The levels of encoder and decoders, and what is kept of them for the backward pass.

use candle_core::{Result, Tensor, bail};
use mtcool_core::{ParameterKind, ParameterName, Parameters};
use mtcool_ops::{ChainInput, Conv2d, MaxPool2d, Norm, Precision, conv_norm_chain, conv2d, max_pool2d, recomputed};

use super::UNet;
use crate::conv_norm::ConvNorm;

/// The two units of a level and how they compute: all that a level needs besides its parameters and maps.
#[derive(Clone)]
struct Level {
    units: [ConvNorm; 2],
    norm: Norm,
    precision: Precision,
}

impl Level {
    /// Two units, one after the other.
    fn forward(&self, parameters: &Parameters, input: ChainInput<'_>) -> Result<Tensor> {
        let [first, second] = &self.units;
        let units = [first.unit(parameters, self.precision)?, second.unit(parameters, self.precision)?];
        conv_norm_chain(input, &units, self.norm)
    }
}

impl UNet {
    /// Features of each level l, `[B, base 2^l, H / 2^l, W / 2^l]`.
    pub(super) fn encode(&self, parameters: &Parameters, input: &Tensor) -> Result<Vec<Tensor>> {
        let (_, _, height, width) = input.dims4()?;
        let step = 1 << self.config.depth;
        if height % step != 0 || width % step != 0 {
            bail!(
                "UNet: a {height}x{width} image is not divisible by {step}, which {} poolings need; crop or pad it",
                self.config.depth
            );
        }
        let mut features: Vec<Tensor> = Vec::with_capacity(self.encoder.len());
        for (index, units) in self.encoder.iter().enumerate() {
            let level = self.level(units);
            let own =
                parameters.filter(|name| name.kind == ParameterKind::Theta && is_of(name, &format!("enc{index}")));
            let is_top = index == 0;
            let features_of = self.inside(index, &own, &[features.last().unwrap_or(input)], move |parameters, maps| {
                let pooled = if is_top { None } else { Some(max_pool2d(&maps[0], MaxPool2d::tiling(2))?) };
                level.forward(parameters, ChainInput::Map(pooled.as_ref().unwrap_or(&maps[0])))
            });
            features.push(features_of?);
        }
        Ok(features)
    }

    /// Logits `[B, K, H, W]` of the decoder of task `task` from the encoder's features.
    pub(super) fn segment(&self, parameters: &Parameters, task: usize, features: &[Tensor]) -> Result<Tensor> {
        let mut x = features[self.config.depth].clone();
        for (index, units) in self.decoders[task].iter().enumerate().rev() {
            let level = self.level(units);
            let is_own = |name: &ParameterName| name.kind == ParameterKind::Phi && name.task == task;
            let layers = [format!("up{index}"), format!("dec{index}"), "out".to_owned()];
            let is_top = index == 0;
            let layers = &layers[..if is_top { 3 } else { 2 }];
            let own = parameters.filter(|name| is_own(name) && layers.iter().any(|layer| is_of(name, layer)));
            x = self.inside(index, &own, &[&features[index], &x], move |parameters, maps| {
                let kernel = parameters.phi(task, &format!("up{index}.weight"))?;
                let bias = parameters.phi(task, &format!("up{index}.bias"))?;
                let input = ChainInput::Raised { skip: &maps[0], low: &maps[1], kernel, bias };
                let x = level.forward(parameters, input)?;
                if !is_top {
                    return Ok(x);
                }
                let settings = Conv2d { precision: level.precision, ..Conv2d::default() };
                conv2d(&x, parameters.phi(task, "out.weight")?, Some(parameters.phi(task, "out.bias")?), settings)
            })?;
        }
        Ok(x)
    }

    fn level(&self, units: &[ConvNorm; 2]) -> Level {
        Level { units: units.clone(), norm: self.norm(), precision: self.config.precision }
    }

    /// The output of `body`, which computes what is inside of level `index` from the parameters `own` of the level and from `maps`. If
    /// the level is one of those whose inside is computed again, only `own` and `maps` are kept for the backward pass.
    fn inside(
        &self,
        index: usize,
        own: &Parameters,
        maps: &[&Tensor],
        body: impl Fn(&Parameters, &[Tensor]) -> Result<Tensor> + Send + Sync + 'static,
    ) -> Result<Tensor> {
        if index >= self.config.recomputed_levels {
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
}

/// Whether the parameter `name` belongs to the block `layer`, such as `enc0` or `up1`.
fn is_of(name: &ParameterName, layer: &str) -> bool {
    name.layer.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'))
}
