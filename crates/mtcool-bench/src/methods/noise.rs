//! MT-COOL's perturbations, drawn where the parameters are.

use candle_core::{Device, Tensor};
use mtcool_core::{Draw, NoiseSource, ParameterName, Result, UniformNoise};
use mtcool_ops::uniform_on_card;

/// [`UniformNoise`] that a card draws itself, to the same bits.
#[derive(Clone, Debug)]
pub struct PlacedNoise(pub UniformNoise);

impl NoiseSource for PlacedNoise {
    fn noise(&mut self, draw: Draw, name: &ParameterName, parameter: &Tensor) -> Result<Tensor> {
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
