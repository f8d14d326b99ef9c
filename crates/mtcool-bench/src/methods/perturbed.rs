//! Settings of the noise of MT-COOL, a wrapper.

use mtcool_baselines::Perturbed;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::around::{InnerSettings, Inside, WrapperKeys, Wraps, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "around")]
    around: String,
    #[serde(default = "bound")]
    bound: f64,
    #[serde(default = "samples")]
    samples: usize,
    /// The settings of the wrapped method, without the learning rate.
    #[serde(default)]
    settings: InnerSettings,
}

fn around() -> String {
    "joint".into()
}

fn bound() -> f64 {
    0.05
}

fn samples() -> usize {
    1
}

impl WrapperKeys for Settings {
    const WRAPS: Wraps = Wraps::Both;

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn around(&self) -> &str {
        &self.around
    }

    fn wrap(&self, inside: &Inside, seed: u64) -> Result<Combine> {
        Ok(Combine::Direction(Box::new(Perturbed::new(inside.combine(seed)?, seed, self.bound, self.samples)?)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("perturbed", "Perturbed", MethodKind::Wrapper, read::<Settings>)
        .described(
            "the noise of MT-COOL around another method",
            "M times the passes of the wrapped method",
            "Wu et al. 2023 (noise)",
        )
        .titled("Multi-Task Cooperative Learning via Searching for Flat Minima")
        .explained(
            "losses and gradients are means over theta + eps^(j), eps ~ U(-b, b), j = 1..M; the wrapped method \
             combines them",
            "as the wrapped method, in expectation, for the mean loss in a box around theta",
            &[
                ["around", "a method's name", "the wrapped method"],
                ["bound", "> 0", "half-width b of the noise on theta"],
                ["samples", ">= 1", "draws M over which losses and gradients are averaged"],
                ["settings", "a table", "the settings of the wrapped method"],
            ],
        )
        .inheriting("joint")
}
