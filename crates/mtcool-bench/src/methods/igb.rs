//! Settings of IGBv1.

use mtcool_baselines::Igb;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "base_epoch")]
    base_epoch: u64,
}

fn base_epoch() -> u64 {
    2
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(Combine::Losses(Box::new(Igb::new(self.base_epoch)?)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("igb", "IGBv1", MethodKind::Weighting, read::<Settings>)
        .described(
            "gives more weight to losses that have fallen less since an early epoch",
            "1 forward and 1 backward pass",
            "Dai et al. 2023",
        )
        .titled("Improvable gap balancing for multi-task learning")
        .explained(
            "minimises sum_i c_i log L_i, c = T softmax(L / b) held constant",
            "the scales of the losses do not matter; losses >= 0",
            &[[
                "base_epoch",
                ">= 1",
                "epoch whose mean losses b are the scale; until its end the sum of the log losses",
            ]],
        )
        .inheriting("joint")
}
