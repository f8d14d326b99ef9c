//! Settings of MoDo.

use mtcool_baselines::MoDo;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "gamma")]
    gamma: f64,
    #[serde(default = "rho")]
    rho: f64,
}

fn gamma() -> f64 {
    0.1
}

fn rho() -> f64 {
    0.1
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(Combine::Direction(Box::new(MoDo::new(self.gamma, self.rho)?)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("modo", "MoDo", MethodKind::Passes, read::<Settings>)
        .described(
            "descends the length of the combination by one step per step",
            "3 batches, T backward passes on each",
            "Chen et al. 2024",
        )
        .titled("Three-way trade-off in multi-objective learning: optimization, generalization and conflict-avoidance")
        .explained(
            "lambda = Pi(lambda - gamma (J_1 J_2^T + rho I) lambda); d = J_3^T lambda, on three batches",
            "converges to Pareto-stationary points for falling rates",
            &[["gamma", "> 0", "rate of the weights; 0.001 in LibMTL"], ["rho", ">= 0", "pull towards equal weights"]],
        )
        .inheriting("joint")
}
