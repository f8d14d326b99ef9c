//! Settings of Krum.

use mtcool_baselines::{Krum as Rule, KrumDistance};
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::direction_scale::DirectionScale;
use super::gradient::{DIRECTION_SCALE, Keys, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "n_byzantine")]
    n_byzantine: usize,
    #[serde(default = "n_selected")]
    n_selected: usize,
    #[serde(default)]
    distance: Distance,
    #[serde(default)]
    direction_scale: DirectionScale,
}

fn n_byzantine() -> usize {
    0
}

fn n_selected() -> usize {
    2
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Distance {
    #[default]
    Euclidean,
    Squared,
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        let distance = match self.distance {
            Distance::Euclidean => KrumDistance::Euclidean,
            Distance::Squared => KrumDistance::Squared,
        };
        Ok(self.direction_scale.of_gradients(Rule::new(self.n_byzantine, self.n_selected, distance)?))
    }

    fn check_tasks(&self, tasks: usize) -> Result<()> {
        Rule::new(self.n_byzantine, self.n_selected, KrumDistance::default())?.check(tasks)
    }
}

pub(super) fn entry() -> MethodEntry {
    let entry = MethodEntry::new("krum", "Krum", MethodKind::Aggregator, read::<Settings>)
        .described(
            "averages the gradients that are nearest to the others",
            "T backward passes, Gramian",
            "Blanchard et al. 2017",
        )
        .titled("Machine learning with adversaries: byzantine tolerant gradient descent")
        .explained(
            "s_i = sum of the T - f - 2 smallest |g_i - g_j|; d = mean of the n_selected g_i with the smallest s_i",
            "f arbitrary gradients do little harm; nothing for tasks that are left out",
            &[
                ["n_byzantine", ">= 0; T >= n_byzantine + 3", "number f of gradients that may be arbitrary"],
                ["n_selected", ">= 1", "number of gradients that are averaged"],
                ["distance", "euclidean | squared", "what is summed over the neighbours"],
                DIRECTION_SCALE,
            ],
        )
        .inheriting("joint");
    MethodEntry { least_tasks: 3, ..entry }
}
