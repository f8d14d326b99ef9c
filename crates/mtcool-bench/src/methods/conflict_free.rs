//! Settings of ConFIG.

use mtcool_baselines::ConFig;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, one_per_task_or_none, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default)]
    preference: Vec<f64>,
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(Combine::Gradients(Box::new(ConFig::new(self.preference.clone())?)))
    }

    fn check_tasks(&self, tasks: usize) -> Result<()> {
        one_per_task_or_none("preference", &self.preference, tasks)
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("config", "ConFIG", MethodKind::Aggregator, read::<Settings>)
        .described(
            "has the same angle to every gradient",
            "T backward passes, Gramian, eigenvectors",
            "Liu et al. 2024",
        )
        .titled("ConFIG: towards conflict-free training of physics informed neural networks")
        .explained(
            "u = unit vector of U^+ p, the rows of U are g_i / |g_i|; d = (sum_i g_i . u) u",
            "g_i . d > 0 for every task where the gradients are independent",
            &[["preference", "numbers > 0, one per task, or []", "proportions of the cosines; empty: equal ones"]],
        )
        .inheriting("joint")
}
