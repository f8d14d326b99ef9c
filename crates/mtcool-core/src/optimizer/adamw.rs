//! Adam with decoupled weight decay.

use super::decay::{DecayedParameters, check_weight_decay};
use super::interface::{Optimizer, OptimizerInputs};
use super::update_parameter::update_parameter;
use crate::error::{Result, require};
use crate::parameters::Parameters;
use crate::state_tensors::StateTensors;
use crate::update::{AdamRule, UpdateRule};

/// AdamW (Loshchilov and Hutter 2019, *Decoupled weight decay regularization*). For each parameter p with gradient g, at
/// learning rate r, in the t-th update of this parameter:
///
/// 1. `p = (1 - r * weight_decay) * p`
/// 2. `m = beta1 * m + (1 - beta1) * g`, `v = beta2 * v + (1 - beta2) * g^2`; both are 0 before the first update
/// 3. `p = p - r * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)`
///
/// which is PyTorch's `AdamW`. Each parameter counts its own updates, since methods such as MT-COOL update the tasks in turn; a
/// parameter without a gradient keeps its value, its moments and its count, and does not decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Of the mean of gradients; in `0..1`.
    pub beta1: f64,
    /// Of the mean of squared gradients; in `0..1`.
    pub beta2: f64,
    /// Added to the root of the second moment; positive.
    pub eps: f64,
    /// At least 0.
    pub weight_decay: f64,
    /// Which parameters decay.
    pub decayed: DecayedParameters,
}

impl Default for AdamW {
    /// PyTorch's defaults.
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01, decayed: DecayedParameters::All }
    }
}

const MOMENTS: [&str; 2] = ["first_moment", "second_moment"];
const STEP_COUNT: &str = "step_count";

impl Optimizer for AdamW {
    fn check(&self) -> Result<()> {
        for (key, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            require((0.0..1.0).contains(&beta), key, beta, "at least 0 and below 1")?;
        }
        require(self.eps > 0.0 && self.eps.is_finite(), "eps", self.eps, "a positive number")?;
        check_weight_decay(self.weight_decay)
    }

    fn slots(&self) -> &'static [&'static str] {
        &[MOMENTS[0], MOMENTS[1], STEP_COUNT]
    }

    fn velocity(&self) -> Option<&'static str> {
        Some(MOMENTS[0])
    }

    fn step(&self, inputs: &OptimizerInputs<'_>, mut state: StateTensors) -> Result<(Parameters, StateTensors)> {
        let Self { beta1, beta2, eps, weight_decay, decayed } = *self;
        let moved = inputs.gradients.map(|name, gradient| {
            let step = state.count(STEP_COUNT, name)? + 1;
            let weight_decay = decayed.decay_of(|| (inputs.is_weight)(name), weight_decay);
            let rule = UpdateRule::Adam(AdamRule { beta1, beta2, eps, weight_decay, step });
            let moved = update_parameter(inputs, &mut state, &MOMENTS, (name, gradient), rule)?;
            state.set_count(STEP_COUNT, name, step)?;
            Ok(moved)
        })?;
        Ok((moved, state))
    }
}
