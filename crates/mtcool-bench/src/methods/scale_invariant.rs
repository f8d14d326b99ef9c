//! Settings of the scale-invariant sum.

use mtcool_baselines::ScaleInvariant;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(Combine::Losses(Box::new(ScaleInvariant)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("si", "SI", MethodKind::Weighting, read::<Settings>)
        .described("minimises the sum of the log losses", "1 forward and 1 backward pass", "Navon et al. 2022 (SI)")
        .titled("Multi-task learning as a bargaining game")
        .explained("minimises sum_i log L_i", "the scales of the losses do not matter; losses >= 0", &[])
        .inheriting("joint")
}
