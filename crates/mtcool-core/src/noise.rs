//! The perturbations eps of Eqs. (3) and (4) as a [`NoiseSource`] gives them: from a seed in training, recorded ones in tests.

use candle_core::Tensor;
use rand_chacha::ChaCha8Rng;

use crate::error::{Result, require};
use crate::parameter_name::ParameterName;
use crate::random::{Purpose, stream, uniform};

/// Where in Algorithm 1 a perturbation is drawn. All counts start at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseDraw {
    /// Draw `sample` of warm-up iteration `iteration`: every task's theta is perturbed.
    Warmup {
        /// Warm-up iteration t, below T_w.
        iteration: usize,
        /// Draw j, below M.
        sample: usize,
    },
    /// Draw `sample` of an inner iteration of task `task`: every other task's theta is perturbed.
    Cooperative {
        /// Outer iteration t.
        iteration: usize,
        /// The task i that trains.
        task: usize,
        /// Inner iteration l, below L.
        inner: usize,
        /// Draw j, below M.
        sample: usize,
    },
}

/// A source of perturbations.
pub trait NoiseSource: Send {
    /// The perturbation of the parameter `name` at `draw`, of `parameter`'s shape, dtype and device.
    ///
    /// # Errors
    /// If the source has none for that draw, or the tensor cannot be made.
    fn noise(&mut self, draw: NoiseDraw, name: &ParameterName, parameter: &Tensor) -> Result<Tensor>;
}

/// eps ~ U(-b, b), independent for every element and every draw, from a seed.
#[derive(Clone, Debug)]
pub struct UniformNoise {
    seed: u64,
    bound: f64,
}

impl UniformNoise {
    /// Noise of half-width `bound` > 0 (the paper's b) from `seed`.
    ///
    /// # Errors
    /// If `bound` is not positive and finite.
    pub fn new(seed: u64, bound: f64) -> Result<Self> {
        require(bound > 0.0 && bound.is_finite(), "bound", bound, "a positive number")?;
        Ok(Self { seed, bound })
    }

    /// b, the half-width.
    pub fn bound(&self) -> f64 {
        self.bound
    }

    /// The generator of the perturbation of the parameter `name` at `draw`, for drawing it on another device than the host.
    pub fn generator(&self, draw: NoiseDraw, name: &ParameterName) -> ChaCha8Rng {
        let (purpose, at) = match draw {
            NoiseDraw::Warmup { iteration, sample } => (Purpose::WarmupNoise, [iteration, sample, 0, 0]),
            NoiseDraw::Cooperative { iteration, task, inner, sample } => {
                (Purpose::CooperativeNoise, [iteration, task, inner, sample])
            }
        };
        stream(self.seed, purpose, at.map(|n| n as u32), &name.to_string())
    }
}

impl NoiseSource for UniformNoise {
    fn noise(&mut self, draw: NoiseDraw, name: &ParameterName, parameter: &Tensor) -> Result<Tensor> {
        let mut generator = self.generator(draw, name);
        Ok(uniform(&mut generator, self.bound, parameter.shape(), parameter.dtype(), parameter.device())?)
    }
}
