//! Settings of PCD.

use mtcool_baselines::Pcd;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::direction_scale::DirectionScale;
use super::gradient::{DIRECTION_SCALE, Keys, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "tau")]
    tau: Tau,
    #[serde(default = "beta")]
    beta: f64,
    #[serde(default)]
    direction_scale: DirectionScale,
}

fn tau() -> Tau {
    Tau::One(0.02)
}

fn beta() -> f64 {
    0.999
}

/// One number for all secondary tasks, or one for each.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "a number, or a list with one number per task but the first")]
enum Tau {
    One(f64),
    Each(Vec<f64>),
}

impl Tau {
    fn list(&self) -> Vec<f64> {
        match self {
            Self::One(tau) => vec![*tau],
            Self::Each(tau) => tau.clone(),
        }
    }
}

impl Settings {
    fn rule(&self) -> Result<Pcd> {
        Pcd::new(self.tau.list(), self.beta)
    }
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(self.direction_scale.of_gradients(self.rule()?))
    }

    fn check_tasks(&self, tasks: usize) -> Result<()> {
        self.rule()?.check(tasks)
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("pcd", "PCD", MethodKind::Aggregator, read::<Settings>)
        .described(
            "follows the first task as long as the others get a share",
            "T backward passes, Gramian, 1 quadratic program",
            "PCD 2026",
        )
        .titled("Priority-constrained descent")
        .explained(
            "h_i = g_i / rms |g_i|; d = nearest to h_1 with h_j . d >= tau_j |h_j|^2 for j > 1; |d| = |g_1|",
            "every secondary task gains where that is possible; otherwise d = g_1",
            &[
                [
                    "tau",
                    "numbers >= 0: one, or one for each task but the first",
                    "share of its own gain that a secondary task gets",
                ],
                ["beta", ">= 0 and < 1", "decay of the running means of squared lengths"],
                DIRECTION_SCALE,
            ],
        )
        .inheriting("joint")
}
