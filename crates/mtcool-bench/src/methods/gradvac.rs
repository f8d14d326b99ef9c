//! Settings of GradVac.

use mtcool_baselines::GradVac;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "beta")]
    beta: f64,
}

fn beta() -> f64 {
    0.5
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, seed: u64) -> Result<Combine> {
        Ok(Combine::Gradients(Box::new(GradVac::new(seed, self.beta)?)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("gradvac", "GradVac", MethodKind::Aggregator, read::<Settings>)
        .described(
            "turns gradients to each other until their angles are the usual ones",
            "T backward passes, Gramian",
            "Wang et al. 2021",
        )
        .titled(
            "Gradient vaccine: investigating and improving multi-task optimization in massively multilingual models",
        )
        .explained(
            "v_i = g_i; for the other j: if cos(v_i, g_j) < phi_ij, add a g_j so that it is phi_ij; d = sum_i \
             v_i; phi_ij is the running mean of the cosine",
            "none for a single step; with phi = 0 as PCGrad",
            &[["beta", "0 to 1", "weight of the newest cosine in its running mean"]],
        )
        .inheriting("joint")
}
