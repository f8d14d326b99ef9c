//! The settings of MT-COOL.

use crate::error::{Result, require};
use crate::optimizer::UpdateSettings;

/// Which parts of the method are used: the ablations of the paper's Table 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// The tasks are updated in turn, without noise, clamp and KL term. One forward pass per update, since all draws would be
    /// equal.
    Vanilla,
    /// Noise and clamp without the KL term.
    NoRegularizer,
    /// Noise, clamp and KL term.
    #[default]
    Full,
}

/// Which parameters of the other tasks task i sees in outer iteration t.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateOrder {
    /// `psi_k^[t]` of the tasks before it and `psi_k^[t-1]` of the tasks after it: Eq. (6).
    #[default]
    GaussSeidel,
    /// `psi_k^[t-1]` of all other tasks: the wording of Algorithm 1.
    Jacobi,
}

/// What the bound b is measured in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BoundUnit {
    /// The unit of the parameters: b itself is the half-width of noise and clamp of every parameter.
    #[default]
    Absolute,
    /// The width that a parameter had initially, [`Network::initial_width`](crate::Network::initial_width): noise and clamp of a
    /// parameter have b times its initial width.
    InitialWidth,
}

/// Which of the encoder's parameters get noise and clamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PerturbedParameters {
    /// Every theta.
    #[default]
    All,
    /// Those for which [`Network::decays`](crate::Network::decays) is true: not biases, nor the scales and shifts of norms, which
    /// are then trained without noise and without bound.
    Weights,
}

/// What the clamp does to the optimiser's velocity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClampedVelocity {
    /// Nothing: the velocity goes on pushing against the bound.
    #[default]
    Keeps,
    /// The velocity ([`Optimizer::velocity`](crate::Optimizer::velocity)) of each element that the clamp has moved becomes 0.
    Stops,
}

/// The settings of [`Mtcool`](crate::Mtcool), under the paper's symbols.
#[derive(Clone, Debug)]
pub struct MtcoolConfig {
    /// Which parts of the method are used.
    pub variant: Variant,
    /// b: half-width of the noise and of the clamp; positive.
    pub bound: f64,
    /// What b is measured in.
    pub bound_unit: BoundUnit,
    /// Which of the encoder's parameters get noise and clamp.
    pub perturbed: PerturbedParameters,
    /// What the clamp does to the optimiser's velocity.
    pub clamped_velocity: ClampedVelocity,
    /// Learning rate of the warm-up; positive.
    pub alpha: f64,
    /// Learning rate of the cooperative updates; positive.
    pub beta: f64,
    /// M: draws of the noise per update; at least 1.
    pub samples: usize,
    /// L: inner iterations of each task in an outer iteration; at least 1.
    pub inner_iterations: usize,
    /// T_w: warm-up iterations.
    pub warmup_iterations: usize,
    /// Weight of the KL term; at least 0.
    pub lambda: f64,
    /// Which parameters of the other tasks task i sees.
    pub schedule: UpdateOrder,
    /// How both phases update parameters: the optimiser, the schedule of alpha and beta over the run, clipping, accumulation.
    ///
    /// With gradient accumulation, all batches of one update meet the same draws of the noise. The clamp follows the update.
    pub updates: UpdateSettings,
}

impl Default for MtcoolConfig {
    fn default() -> Self {
        Self {
            variant: Variant::Full,
            bound: 0.05,
            bound_unit: BoundUnit::Absolute,
            perturbed: PerturbedParameters::All,
            clamped_velocity: ClampedVelocity::Keeps,
            alpha: 0.1,
            beta: 0.1,
            samples: 2,
            inner_iterations: 1,
            warmup_iterations: 100,
            lambda: 1.0,
            schedule: UpdateOrder::GaussSeidel,
            updates: UpdateSettings::default(),
        }
    }
}

impl MtcoolConfig {
    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange) naming the first setting outside its range.
    pub fn check(self) -> Result<Self> {
        let positive = |key, value: f64| require(value > 0.0 && value.is_finite(), key, value, "a positive number");
        positive("bound", self.bound)?;
        positive("alpha", self.alpha)?;
        positive("beta", self.beta)?;
        require(self.samples >= 1, "samples", self.samples, "at least 1")?;
        require(self.inner_iterations >= 1, "inner_iterations", self.inner_iterations, "at least 1")?;
        // Far above any use; products of these numbers count forward passes.
        for (key, value) in [("samples", self.samples), ("inner_iterations", self.inner_iterations)] {
            require(value <= 10_000, key, value, "at most 10000")?;
        }
        require(self.lambda >= 0.0 && self.lambda.is_finite(), "lambda", self.lambda, "at least 0")?;
        if self.clamped_velocity == ClampedVelocity::Stops && self.updates.optimizer.velocity().is_none() {
            let expected = "an optimiser with a velocity, such as SGD with momentum or AdamW; or let the clamp keep it";
            return require(false, "clamped_velocity", "Stops", expected).map(|()| self);
        }
        Ok(Self { updates: self.updates.check()?, ..self })
    }

    /// A warning in words, if the settings are valid but surely not what was meant.
    pub fn warning(&self) -> Option<&'static str> {
        (self.variant == Variant::Full && self.lambda > 0.0 && self.samples == 1).then_some(
            "lambda > 0 with samples = 1: one draw always agrees with itself, so the KL term is 0 and this is the method \
             without its regulariser; set samples to 2 or more",
        )
    }
}
