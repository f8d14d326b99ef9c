//! Settings of PBI.

use mtcool_baselines::Pbi;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, one_per_task_or_none, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "theta")]
    theta: f64,
    #[serde(default)]
    preference: Vec<f64>,
    #[serde(default)]
    ideal: Vec<f64>,
}

fn theta() -> f64 {
    5.0
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(Combine::Losses(Box::new(Pbi::new(self.theta, self.preference.clone(), self.ideal.clone())?)))
    }

    fn check_tasks(&self, tasks: usize) -> Result<()> {
        one_per_task_or_none("preference", &self.preference, tasks)?;
        one_per_task_or_none("ideal", &self.ideal, tasks)
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("pbi", "PBI", MethodKind::Weighting, read::<Settings>)
        .described(
            "minimises the losses along a direction and their distance from it",
            "1 forward and 1 backward pass",
            "Zhang and Li 2007",
        )
        .titled("MOEA/D: a multiobjective evolutionary algorithm based on decomposition")
        .explained(
            "f = L - z, u = r / |r|: minimises d_1 + theta d_2, d_1 = f . u, d_2 = |f - d_1 u|",
            "losses end in the proportions of r for a large theta; a loss may rise on purpose",
            &[
                ["theta", ">= 0", "weight of the distance"],
                ["preference", "numbers >= 0, one per task, or []", "the direction r; empty: equal losses"],
                ["ideal", "numbers, one per task, or []", "ideal losses z; empty: 0"],
            ],
        )
        .inheriting("joint")
}
