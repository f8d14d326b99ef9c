//! Settings of FairGrad.

use mtcool_baselines::FairGrad;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "alpha")]
    alpha: f64,
}

fn alpha() -> f64 {
    1.0
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(Combine::Gradients(Box::new(FairGrad::new(self.alpha)?)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("fairgrad", "FairGrad", MethodKind::Aggregator, read::<Settings>)
        .described(
            "gives the tasks alpha-fair shares of the step",
            "T backward passes, Gramian, Newton's method",
            "Ban and Ji 2024",
        )
        .titled("Fair resource allocation in multi-task learning")
        .explained(
            "d = sum_i w_i g_i with w > 0 and G w = w^(-1/alpha)",
            "g_i . d > 0 for every task; no direction where gradients are opposite",
            &[[
                "alpha",
                "> 0",
                "which fairness: 1 proportional, larger closer to the best for the task that gains least",
            ]],
        )
        .inheriting("joint")
}
