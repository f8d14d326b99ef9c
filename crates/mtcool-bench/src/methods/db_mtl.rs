//! Settings of DB-MTL.

use mtcool_baselines::DbMtl;
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
    #[serde(default = "beta_sigma")]
    beta_sigma: f64,
}

fn beta() -> f64 {
    0.9
}

fn beta_sigma() -> f64 {
    0.0
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(Combine::Gradients(Box::new(DbMtl::new(self.beta, self.beta_sigma)?)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("db_mtl", "DB-MTL", MethodKind::Aggregator, read::<Settings>)
        .described(
            "takes log losses and gives all mean gradients one length",
            "T backward passes, 1 pass over all gradients",
            "Lin et al. 2023",
        )
        .titled("Dual-balancing for multi-task learning")
        .explained(
            "h_i = g_i / (L_i + 1e-8); M_i = running mean of h_i; d = sum_i (max_j |M_j| / |M_i|) M_i",
            "the scale of a loss does not matter; losses >= 0",
            &[
                ["beta", ">= 0 and < 1", "weight of the old mean"],
                ["beta_sigma", ">= 0", "power of the step by which beta falls"],
            ],
        )
        .inheriting("joint")
}
