//! Settings of LDC-MTL.

use mtcool_baselines::LdcMtl;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "lambda")]
    lambda: f64,
    #[serde(default = "weight_rate")]
    weight_rate: f64,
}

fn lambda() -> f64 {
    0.1
}

fn weight_rate() -> f64 {
    0.025
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(Combine::Losses(Box::new(LdcMtl::new(self.lambda, self.weight_rate)?)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("ldc_mtl", "LDC-MTL", MethodKind::Weighting, read::<Settings>)
        .described(
            "learns weights under which the weighted losses differ little",
            "1 forward and 1 backward pass",
            "Xiao et al. 2025",
        )
        .titled("LDC-MTL: balancing multi-task learning through scalable loss discrepancy control")
        .explained(
            "l_i = L_i / tau_i, w = clamp(softmax(z), 0.2, 0.8): minimises sum_i w_i l_i / sum_i w_i + lambda \
             sum_i |w_i l_i - w_(i+1) l_(i+1)|",
            "none; the router reads no features here; losses >= 0",
            &[
                ["lambda", ">= 0", "weight of the differences, 0.01 to 0.1 in the paper"],
                ["weight_rate", "> 0", "learning rate of the logits z"],
            ],
        )
        .inheriting("joint")
}
