//! Settings of STCH.

use mtcool_baselines::Stch;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, one_per_task_or_none, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "mu")]
    mu: f64,
    #[serde(default)]
    preference: Vec<f64>,
    #[serde(default)]
    ideal: Vec<f64>,
}

fn mu() -> f64 {
    1.0
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(Combine::Losses(Box::new(Stch::new(self.mu, self.preference.clone(), self.ideal.clone())?)))
    }

    fn check_tasks(&self, tasks: usize) -> Result<()> {
        one_per_task_or_none("preference", &self.preference, tasks)?;
        one_per_task_or_none("ideal", &self.ideal, tasks)
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("stch", "STCH", MethodKind::Weighting, read::<Settings>)
        .described(
            "minimises a smooth form of the largest weighted loss",
            "1 forward and 1 backward pass",
            "Lin et al. 2024",
        )
        .titled("Smooth Tchebycheff scalarization for multi-objective optimization")
        .explained(
            "minimises mu log sum_i exp(r_i (L_i - z_i) / mu)",
            "its minima are Pareto-optimal, and all Pareto-optimal points are minima for some r and small mu",
            &[
                ["mu", "> 0", "smoothness: small for the maximum, large for the sum"],
                ["preference", "numbers >= 0, one per task, or []", "preferences r; empty: 1/T"],
                ["ideal", "numbers, one per task, or []", "ideal losses z; empty: 0"],
            ],
        )
        .inheriting("joint")
}
