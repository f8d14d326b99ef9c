//! Settings of the scalarisation of COSMOS.

use mtcool_baselines::Cosmos;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, one_per_task_or_none, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "lambda")]
    lambda: f64,
    #[serde(default)]
    preference: Vec<f64>,
}

fn lambda() -> f64 {
    1.0
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(Combine::Losses(Box::new(Cosmos::new(self.lambda, self.preference.clone())?)))
    }

    fn check_tasks(&self, tasks: usize) -> Result<()> {
        one_per_task_or_none("preference", &self.preference, tasks)
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("cosmos", "COSMOS", MethodKind::Weighting, read::<Settings>)
        .described(
            "minimises the weighted losses minus their cosine with the weights",
            "1 forward and 1 backward pass",
            "Ruchte and Grabocka 2021",
        )
        .titled("Scalable Pareto front approximation for deep multi-objective learning")
        .explained(
            "minimises r . L - lambda r . L / (|r| |L|)",
            "none; weights may be negative for a large lambda",
            &[
                ["lambda", ">= 0", "weight of the cosine"],
                ["preference", "numbers >= 0, one per task, or []", "preferences r; empty: 1/T"],
            ],
        )
        .inheriting("joint")
}
