//! Stochastic gradient descent with momentum and weight decay.

use super::decay::{DecayedParameters, check_weight_decay};
use super::interface::{Optimizer, OptimizerInputs};
use super::update_parameter::update_parameter;
use crate::error::{Result, require};
use crate::parameters::Parameters;
use crate::state_tensors::StateTensors;
use crate::update::{MomentumRule, UpdateRule};

/// Stochastic gradient descent. For each parameter p with gradient g, at learning rate r:
///
/// 1. `d = g + weight_decay * p`
/// 2. `v = momentum * v + d`; the first time, `v = d`
/// 3. `p = p - r * v`; with `nesterov`, `p = p - r * (d + momentum * v)`
///
/// which is PyTorch's `SGD` without dampening. A parameter without a gradient keeps its value and its velocity.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sgd {
    /// In `0..1`.
    pub momentum: f64,
    /// Whether to look ahead along the velocity (Nesterov 1983, in the form of Sutskever et al. 2013); needs momentum.
    pub nesterov: bool,
    /// At least 0.
    pub weight_decay: f64,
    /// Which parameters decay.
    pub decayed: DecayedParameters,
}

const VELOCITY: [&str; 1] = ["velocity"];

impl Optimizer for Sgd {
    fn check(&self) -> Result<()> {
        require((0.0..1.0).contains(&self.momentum), "momentum", self.momentum, "at least 0 and below 1")?;
        require(
            !self.nesterov || self.momentum > 0.0,
            "nesterov",
            self.nesterov,
            "false where `momentum` is 0: there is no velocity to look along",
        )?;
        check_weight_decay(self.weight_decay)
    }

    fn slots(&self) -> &'static [&'static str] {
        if self.momentum > 0.0 { &VELOCITY } else { &[] }
    }

    fn velocity(&self) -> Option<&'static str> {
        self.slots().first().copied()
    }

    fn step(&self, inputs: &OptimizerInputs<'_>, mut state: StateTensors) -> Result<(Parameters, StateTensors)> {
        let Self { momentum, nesterov, weight_decay, decayed } = *self;
        let moved = inputs.gradients.map(|name, gradient| {
            let weight_decay = decayed.decay_of(|| (inputs.is_weight)(name), weight_decay);
            let rule = UpdateRule::Momentum(MomentumRule { momentum, nesterov, weight_decay });
            update_parameter(inputs, &mut state, self.slots(), (name, gradient), rule)
        })?;
        Ok((moved, state))
    }
}
