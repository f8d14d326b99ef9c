//! Settings of CR-MOGM, a wrapper.

use mtcool_baselines::{CrMogm, Smoothing};
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::around::{InnerSettings, Inside, WrapperKeys, Wraps, read};
use super::gradient::one_per_task_or_none;
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "around")]
    around: String,
    #[serde(default = "alpha")]
    alpha: Alpha,
    #[serde(default)]
    initial: Vec<f64>,
    /// The settings of the wrapped method, without the learning rate.
    #[serde(default)]
    settings: InnerSettings,
}

fn around() -> String {
    "mgda".into()
}

fn alpha() -> Alpha {
    Alpha::Constant(0.9)
}

/// A number, or the name of a schedule.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "a number between 0 and 1, or \"growing\"")]
enum Alpha {
    Constant(f64),
    Named(Named),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Named {
    Growing,
}

impl WrapperKeys for Settings {
    const WRAPS: Wraps = Wraps::Both;

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn around(&self) -> &str {
        &self.around
    }

    fn wrap(&self, inside: &Inside, seed: u64) -> Result<Combine> {
        let smoothing = match self.alpha {
            Alpha::Constant(alpha) => Smoothing::Constant(alpha),
            Alpha::Named(Named::Growing) => Smoothing::Growing,
        };
        Ok(Combine::Gradients(Box::new(CrMogm::new(inside.aggregator(seed)?, smoothing, self.initial.clone())?)))
    }

    fn check_tasks(&self, tasks: usize) -> Result<()> {
        one_per_task_or_none("initial", &self.initial, tasks)
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("cr_mogm", "CR-MOGM", MethodKind::Wrapper, read::<Settings>)
        .described("smooths the weights of an aggregator over the steps", "as the wrapped method", "Zhou et al. 2022")
        .titled("On the convergence of stochastic multi-objective gradient manipulation and beyond")
        .explained(
            "lambda <- alpha lambda + (1 - alpha) w, w the wrapped method's weights; d = sum_i lambda_i g_i",
            "removes the bias of weights from one batch; promises for a single step are lost",
            &[
                ["around", "a method's name", "the wrapped method"],
                ["alpha", "0 to 1, or \"growing\" for 1 - 1 / sqrt(t) in step t", "weight of the old mean"],
                [
                    "initial",
                    "numbers >= 0, one per task, or []",
                    "weights before the first step; empty: those of the first step",
                ],
                ["settings", "a table", "the settings of the wrapped method"],
            ],
        )
        .inheriting("joint")
}
