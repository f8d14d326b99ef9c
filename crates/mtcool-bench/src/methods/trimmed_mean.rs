//! Settings of the trimmed mean.

use mtcool_baselines::TrimmedMean;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::direction_scale::DirectionScale;
use super::gradient::{DIRECTION_SCALE, Keys, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "trim_number")]
    trim_number: usize,
    #[serde(default)]
    direction_scale: DirectionScale,
}

fn trim_number() -> usize {
    1
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        Ok(self.direction_scale.of_gradients(TrimmedMean::new(self.trim_number)))
    }

    fn check_tasks(&self, tasks: usize) -> Result<()> {
        TrimmedMean::new(self.trim_number).check(tasks)
    }
}

pub(super) fn entry() -> MethodEntry {
    let entry = MethodEntry::new("trimmed_mean", "Trimmed mean", MethodKind::Aggregator, read::<Settings>)
        .described(
            "averages the middle of the gradients, coordinate by coordinate",
            "T backward passes, T (T - 1) passes over a gradient",
            "Yin et al. 2018",
        )
        .titled("Byzantine-robust distributed learning: towards optimal statistical rates")
        .explained(
            "d_k = mean of the g_ik without the b largest and the b smallest",
            "b arbitrary gradients do little harm",
            &[
                [
                    "trim_number",
                    ">= 0; T >= 2 trim_number + 1",
                    "number of largest and of smallest entries that are left out",
                ],
                DIRECTION_SCALE,
            ],
        )
        .inheriting("joint");
    MethodEntry { least_tasks: 3, ..entry }
}
