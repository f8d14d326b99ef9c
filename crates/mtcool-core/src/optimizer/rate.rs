//! Schedules of the learning rate.

use crate::error::{Result, require};

/// How the learning rate changes over a run: the base rate times a factor that depends on the progress p, the fraction of the run's
/// samples that have been seen, from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum RateSchedule {
    /// The factor 1.
    #[default]
    Constant,
    /// `(1 + cos(pi p)) / 2`: half a cosine, from 1 down to 0.
    Cosine,
    /// `gamma^n`, n the number of `milestones` that are at most p.
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
