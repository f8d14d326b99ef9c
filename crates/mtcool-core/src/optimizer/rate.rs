//! Schedules of the learning rate.

use crate::error::{Result, require};

/// How the learning rate changes over a run; `progress` runs from 0 to 1 with the samples seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum RateSchedule {
    /// Always the base rate.
    #[default]
    Constant,
    /// Half a cosine, from the base rate down to 0.
    Cosine,
    /// The base rate times `gamma` for each of the `milestones` that has been passed.
    Step {
        /// Fractions of the run, in `0..1`.
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
