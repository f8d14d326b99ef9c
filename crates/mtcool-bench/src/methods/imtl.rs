//! Settings of IMTL, both parts.

use mtcool_baselines::Imtl;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::direction_scale::DirectionScale;
use super::gradient::{DIRECTION_SCALE, Keys, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "weight_rate")]
    weight_rate: f64,
    #[serde(default)]
    direction_scale: DirectionScale,
}

fn weight_rate() -> f64 {
    0.025
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(self.direction_scale.of_gradients(Imtl::new(self.weight_rate)?))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("imtl", "IMTL", MethodKind::Aggregator, read::<Settings>)
        .described(
            "scales the losses to count alike, then projects alike",
            "T backward passes, Gramian, eigenvectors",
            "Liu et al. 2021 (IMTL)",
        )
        .titled("Towards impartial multi-task learning")
        .explained(
            "h_i = e^s_i g_i; d = IMTL-G of the h; s_i -= rate (e^s_i L_i - 1); own parameters move by e^s_i \
             times their gradient",
            "equal projection on every gradient; it may be negative",
            &[["weight_rate", "> 0", "learning rate of the scales s"], DIRECTION_SCALE],
        )
        .inheriting("joint")
}
