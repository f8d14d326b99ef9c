//! Settings of STCH on logarithms.

use mtcool_baselines::StchLog;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "mu")]
    mu: f64,
    #[serde(default = "nadir_epoch")]
    nadir_epoch: u64,
}

fn mu() -> f64 {
    1.0
}

fn nadir_epoch() -> u64 {
    5
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(Combine::Losses(Box::new(StchLog::new(self.mu, self.nadir_epoch)?)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("stch_log", "STCH (log)", MethodKind::Weighting, read::<Settings>)
        .described(
            "STCH of log losses, relative to an early epoch",
            "1 forward and 1 backward pass",
            "Lin et al. 2024 (log)",
        )
        .titled("Smooth Tchebycheff scalarization for multi-objective optimization")
        .explained(
            "minimises T mu log sum_i exp(log(L_i / m_i) / mu)",
            "the scales of the losses do not matter; losses >= 0",
            &[
                ["mu", "> 0", "smoothness"],
                [
                    "nadir_epoch",
                    ">= 1",
                    "epoch whose mean losses m are the scale; until its end the sum of the log losses",
                ],
            ],
        )
        .inheriting("joint")
}
