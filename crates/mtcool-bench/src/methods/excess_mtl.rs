//! Settings of ExcessMTL.

use mtcool_baselines::{ExcessForm, ExcessMtl};
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default)]
    variant: Variant,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    robust_step_size: Option<f64>,
    #[serde(default)]
    warmup_steps: u64,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Variant {
    #[default]
    Simplex,
    Official,
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        let (form, rate) = match self.variant {
            Variant::Simplex => (ExcessForm::Simplex, 1.0),
            Variant::Official => (ExcessForm::Official, 0.01),
        };
        Ok(Combine::Gradients(Box::new(ExcessMtl::new(
            form,
            self.robust_step_size.unwrap_or(rate),
            self.warmup_steps,
        )?)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("excess_mtl", "ExcessMTL", MethodKind::Weighting, read::<Settings>)
        .described(
            "gives more weight to losses that are far above their smallest value",
            "T backward passes, 1 pass over all gradients",
            "He et al. 2024",
        )
        .titled("Robust multi-task learning with excess risks")
        .explained(
            "S_i += g_i^2; e_i = sum g_i^2 / sqrt(S_i + 1e-7); w_i <- w_i exp(rate e_i / e_i(0)), rescaled; d = \
             sum_i w_i g_i",
            "robust to tasks with label noise (a bound in the paper); any single loss may rise",
            &[
                ["variant", "simplex | official", "the form of TorchJD, or that of the authors' program"],
                ["robust_step_size", "> 0", "rate of the weights; by default 1 (simplex) or 0.01 (official)"],
                ["warmup_steps", ">= 0", "simplex: steps with equal weights, whose mean is the scale"],
            ],
        )
        .inheriting("joint")
}
