//! Settings of GO4Align.

use mtcool_baselines::Go4Align;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "groups")]
    groups: usize,
    #[serde(default = "robust_step_size")]
    robust_step_size: f64,
}

fn groups() -> usize {
    2
}

fn robust_step_size() -> f64 {
    1e-4
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(Combine::Losses(Box::new(Go4Align::new(self.groups, self.robust_step_size)?)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("go4align", "GO4Align", MethodKind::Weighting, read::<Settings>)
        .described(
            "groups tasks by how far they lag behind, one weight per group",
            "1 forward and 1 backward pass",
            "Shen et al. 2024",
        )
        .titled("GO4Align: group optimization for multi-task alignment")
        .explained(
            "q_i ~ q_i exp(-rate L_i); u_i = q_i sum_j L_j / L_i; w_i = mean of u over the group of i (best split \
             of the u)",
            "none; losses >= 0",
            &[
                ["groups", ">= 1", "number of groups, at most T"],
                ["robust_step_size", "> 0", "rate of the probabilities q"],
            ],
        )
        .inheriting("joint")
}
