//! Settings of PIVRG.

use mtcool_baselines::Pivrg;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, one_per_task_or_none, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "bound")]
    bound: f64,
    #[serde(default = "floor")]
    floor: f64,
    #[serde(default)]
    single_task_losses: Vec<f64>,
}

fn bound() -> f64 {
    2.0
}

fn floor() -> f64 {
    10.0
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(Combine::Gradients(Box::new(Pivrg::new(self.bound, self.floor, self.single_task_losses.clone())?)))
    }

    fn check_tasks(&self, tasks: usize) -> Result<()> {
        one_per_task_or_none("single_task_losses", &self.single_task_losses, tasks)
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("pivrg", "PIVRG", MethodKind::Aggregator, read::<Settings>)
        .described(
            "gives larger fair shares to tasks that lag behind",
            "T backward passes, Gramian, Newton's method",
            "PIVRG 2025",
        )
        .explained(
            "omega = T softmax(lag / t) from the validation losses; (G x)_i = sqrt(omega_i / x_i); d = T sum_i \
             x_i g_i, |d| <= 1",
            "g_i . d > 0 for every task",
            &[
                ["bound", "> 1", "largest ratio of two claims"],
                ["floor", "> 0", "smallest temperature"],
                [
                    "single_task_losses",
                    "numbers > 0, one per task, or []",
                    "validation losses of single-task training; empty: those of the first epoch",
                ],
            ],
        )
        .inheriting("joint")
}
