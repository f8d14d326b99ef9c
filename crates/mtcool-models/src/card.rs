//! What MT-COOL and other methods get from an NVIDIA card beyond candle's operations: `mtcool-ops`' kernels behind
//! `mtcool-core`'s traits.
//!
//! ```no_run
//! use mtcool_core::{Loss, Mtcool, MtcoolConfig, Problem, UniformNoise};
//! use mtcool_models::{CardKernels, LeNet, PlacedNoise};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = mtcool_ops::open_device("cuda:0")?;
//! let network = LeNet::new(LeNet::mnist(&[5, 5]))?;
//! let losses: Vec<Loss> = vec![Box::new(mtcool_ops::cross_entropy), Box::new(mtcool_ops::cross_entropy)];
//! let problem = Problem::new(Box::new(network), losses)?.on(&device, CardKernels);
//! let config = MtcoolConfig::default();
//! let noise = PlacedNoise(UniformNoise::new(0, config.bound)?);
//! let method = Mtcool::new(config, Box::new(noise))?;
//! # Ok(())
//! # }
//! ```

use candle_core::{Device, Result, Tensor};
use mtcool_core::{
    Kernels, NoiseDraw, NoiseSource, ParameterName, ParameterUpdate, UniformNoise, UpdateRule, UpdatedParameter,
};
use mtcool_ops::{SgdStep, clamp_on_card, disagreement_on_card, sgd_on_card, uniform_on_card};

/// The kernels of `mtcool-ops` for training steps: momentum without look-ahead, the clamp, the KL term.
#[derive(Clone, Copy, Debug)]
pub struct CardKernels;

impl Kernels for CardKernels {
    fn update(&self, update: &ParameterUpdate<'_>) -> Option<Result<UpdatedParameter>> {
        let ParameterUpdate { rate, parameter, gradient, memory, .. } = *update;
        match update.rule {
            UpdateRule::Momentum(rule) if !rule.nesterov => {
                let step = SgdStep { rate, momentum: rule.momentum, weight_decay: rule.weight_decay };
                let updated = sgd_on_card(step, parameter, gradient, memory.first());
                Some(updated.map(|(parameter, velocity)| UpdatedParameter {
                    parameter,
                    memory: velocity.into_iter().collect(),
                }))
            }
            UpdateRule::Momentum(_) | UpdateRule::Adam(_) => None,
        }
    }

    fn clamp(&self, x: &Tensor, center: &Tensor, bound: f64) -> Result<Tensor> {
        clamp_on_card(x, center, bound)
    }

    fn disagreement(&self, logits: &[Tensor]) -> Result<Tensor> {
        disagreement_on_card(logits)
    }
}

/// [`UniformNoise`] drawn where the parameters are: a parameter's noise on a card comes from that card, with the bits that
/// the host would draw.
#[derive(Clone, Debug)]
pub struct PlacedNoise(pub UniformNoise);

impl NoiseSource for PlacedNoise {
    fn noise(&mut self, draw: NoiseDraw, name: &ParameterName, parameter: &Tensor) -> mtcool_core::Result<Tensor> {
        match parameter.device() {
            device @ Device::Cuda(_) => {
                let generator = self.0.generator(draw, name);
                let (key, stream) = (generator.get_seed(), generator.get_stream());
                let like = (parameter.shape(), parameter.dtype());
                Ok(uniform_on_card(key, stream, self.0.bound(), like, device)?)
            }
            _ => self.0.noise(draw, name, parameter),
        }
    }
}
