//! Settings of IMTL-L.

use mtcool_baselines::ImtlL;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "weight_rate")]
    weight_rate: f64,
}

fn weight_rate() -> f64 {
    0.025
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(Combine::Losses(Box::new(ImtlL::new(self.weight_rate)?)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("imtl_l", "IMTL-L", MethodKind::Weighting, read::<Settings>)
        .described("scales every loss to 1", "1 forward and 1 backward pass", "Liu et al. 2021 (IMTL-L)")
        .titled("Towards impartial multi-task learning")
        .explained(
            "minimises sum_i e^s_i L_i - s_i in s and in the parameters",
            "at rest as the sum of the log losses: scales do not matter",
            &[["weight_rate", "> 0", "learning rate of the scales s"]],
        )
        .inheriting("joint")
}
