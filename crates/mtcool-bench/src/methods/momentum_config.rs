//! Settings of momentum ConFIG.

use mtcool_baselines::MomentumConFig;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "betas")]
    betas: [f64; 2],
}

fn betas() -> [f64; 2] {
    [0.9, 0.999]
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(Combine::Direction(Box::new(MomentumConFig::new(self.betas)?)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("momentum_config", "M-ConFIG", MethodKind::Passes, read::<Settings>)
        .described(
            "has the same angle to the running mean of every gradient",
            "1 forward and 1 backward pass per task, T updates",
            "Liu et al. 2024 (momentum)",
        )
        .titled("ConFIG: towards conflict-free training of physics informed neural networks")
        .explained(
            "task by task: m_i, v_i as in Adam; h_j = m_j / (sqrt(v_j) + 1e-8), bias-corrected; d = ConFIG of the h",
            "none for a single step; learning rates as for Adam, training.momentum = 0",
            &[["betas", "two numbers, >= 0 and < 1", "decay of the first and second moments"]],
        )
        .inheriting("joint")
}
