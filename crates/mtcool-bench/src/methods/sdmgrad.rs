//! Settings of SDMGrad.

use mtcool_baselines::{SdmGrad, SdmGradSettings};
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, one_per_task_or_none, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "rate")]
    rate: f64,
    #[serde(default = "momentum")]
    momentum: f64,
    #[serde(default = "iterations")]
    iterations: usize,
    #[serde(default = "lambda")]
    lambda: f64,
    #[serde(default)]
    preference: Vec<f64>,
}

fn rate() -> f64 {
    SdmGradSettings::default().rate
}

fn momentum() -> f64 {
    SdmGradSettings::default().momentum
}

fn iterations() -> usize {
    SdmGradSettings::default().iterations
}

fn lambda() -> f64 {
    SdmGradSettings::default().lambda
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        let Self { rate, momentum, iterations, lambda, .. } = *self;
        let preference = self.preference.clone();
        Ok(Combine::Direction(Box::new(SdmGrad::new(SdmGradSettings {
            rate,
            momentum,
            iterations,
            lambda,
            preference,
        })?)))
    }

    fn check_tasks(&self, tasks: usize) -> Result<()> {
        one_per_task_or_none("preference", &self.preference, tasks)
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("sdmgrad", "SDMGrad", MethodKind::Passes, read::<Settings>)
        .described(
            "is short but near a preferred combination, without bias",
            "3 batches, T backward passes on each",
            "Xiao et al. 2023",
        )
        .titled("Direction-oriented multi-objective learning: simple and provable stochastic algorithms")
        .explained(
            "w by projected descent on w^T J_1 J_2^T (w / 2 + lambda p); d = J_3^T (w + lambda p) / (1 + lambda), \
             on three batches",
            "converges to Pareto-stationary points for falling rates",
            &[
                ["rate", "> 0", "rate of the weights"],
                ["momentum", ">= 0 and < 1", "momentum of the weights within a step"],
                ["iterations", ">= 1", "updates of the weights in a step"],
                ["lambda", ">= 0", "pull towards the preferred weights"],
                ["preference", "numbers >= 0, one per task, or []", "preferred weights p; empty: 1/T"],
            ],
        )
        .inheriting("joint")
}
