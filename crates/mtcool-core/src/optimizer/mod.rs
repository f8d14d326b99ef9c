//! Stochastic gradient descent with momentum and weight decay, and learning-rate schedules.

mod update;

use crate::error::{Error, Result, require};
use crate::kernels::Kernels;
use crate::parameters::{Gradients, Parameters};

/// Stochastic gradient descent. For each parameter p with gradient g, at learning rate r:
///
/// 1. `g <- g + weight_decay * p`
/// 2. `v <- momentum * v + g` (the first time, `v <- g`)
/// 3. `p <- p - r * v`
///
/// which is PyTorch's `SGD` without dampening. A parameter without a gradient keeps its value and its velocity.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sgd {
    /// In `0..1`.
    pub momentum: f64,
    /// At least 0.
    pub weight_decay: f64,
}

/// The velocities v of [`Sgd`], by parameter name.
pub type Velocity = Parameters;

impl Sgd {
    /// # Errors
    /// If a setting is out of its range.
    pub fn check(self) -> Result<Self> {
        require((0.0..1.0).contains(&self.momentum), "momentum", self.momentum, "at least 0 and below 1")?;
        require(
            self.weight_decay >= 0.0 && self.weight_decay.is_finite(),
            "weight_decay",
            self.weight_decay,
            "at least 0",
        )?;
        Ok(self)
    }

    /// One update of the parameters that have a gradient: their new values, and all velocities.
    ///
    /// # Errors
    /// If a gradient names no parameter or has another shape.
    pub fn step(
        self,
        parameters: &Parameters,
        gradients: &Gradients,
        velocity: Velocity,
        rate: f64,
    ) -> Result<(Parameters, Velocity)> {
        self.step_by(None, parameters, gradients, velocity, rate)
    }

    /// [`Sgd::step`], each parameter moved by `kernels`, if there are any.
    ///
    /// # Errors
    /// As [`Sgd::step`].
    pub fn step_by(
        self,
        kernels: Option<&dyn Kernels>,
        parameters: &Parameters,
        gradients: &Gradients,
        mut velocity: Velocity,
        rate: f64,
    ) -> Result<(Parameters, Velocity)> {
        let moved = gradients.map(|name, gradient| {
            let unknown = || Error::Mismatch {
                what: format!("gradient of `{name}`"),
                expected: "the name of a parameter".into(),
                got: "no parameter of that name".into(),
            };
            let parameter = parameters.get(name).ok_or_else(unknown)?.detach();
            let (moved, direction) = match kernels {
                Some(kernels) => kernels.sgd(self, &parameter, gradient, velocity.get(name), rate)?,
                None => self.update(&parameter, gradient, velocity.get(name), rate)?,
            };
            if let Some(direction) = direction {
                velocity.insert(name.clone(), direction);
            }
            Ok(moved)
        })?;
        Ok((moved, velocity))
    }
}

/// How the learning rate changes over a run; `progress` runs from 0 to 1 with the samples seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum RateSchedule {
    /// Always the base rate.
    #[default]
    Constant,
    /// Half a cosine, from the base rate down to 0.
    Cosine,
    /// Times `gamma` at each of the `milestones`, fractions of the run in `0..1`.
    Step {
        /// When, as fractions of the run.
        milestones: Vec<f64>,
        /// The factor, in `0..=1`.
        gamma: f64,
    },
}

impl RateSchedule {
    /// # Errors
    /// If a milestone or gamma is out of its range.
    pub fn check(self) -> Result<Self> {
        if let Self::Step { milestones, gamma } = &self {
            require((0.0..=1.0).contains(gamma), "gamma", gamma, "between 0 and 1")?;
            for milestone in milestones {
                require(
                    (0.0..1.0).contains(milestone),
                    "milestones",
                    milestone,
                    "fractions of the run: at least 0 and below 1",
                )?;
            }
        }
        Ok(self)
    }

    /// The factor on the base rate at `progress` in `0..=1`.
    pub fn factor(&self, progress: f64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            Self::Step { milestones, gamma } => {
                let passed = milestones.iter().filter(|&&milestone| progress >= milestone).count();
                gamma.powi(passed as i32)
            }
        }
    }
}
