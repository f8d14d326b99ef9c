//! Settings of the geometric mean of the losses.

use mtcool_baselines::GeometricMean;
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
        Ok(Combine::Losses(Box::new(GeometricMean)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("gls", "GLS", MethodKind::Weighting, read::<Settings>)
        .described(
            "minimises the geometric mean of the losses",
            "1 forward and 1 backward pass",
            "Chennupati et al. 2019",
        )
        .titled("MultiNet++: multi-stream feature aggregation and geometric loss strategy for multi-task learning")
        .explained("minimises (prod_i L_i)^(1/T)", "scaling a loss scales all weights alike; losses >= 0", &[])
        .inheriting("joint")
}
