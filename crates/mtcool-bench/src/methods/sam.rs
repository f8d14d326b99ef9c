//! Settings of SAM, a wrapper.

use mtcool_baselines::Sam;
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
    #[serde(default = "rho")]
    rho: f64,
    /// The settings of the wrapped method, without the learning rate.
    #[serde(default)]
    settings: InnerSettings,
}

fn around() -> String {
    "joint".into()
}

fn rho() -> f64 {
    0.05
}

impl WrapperKeys for Settings {
    const WRAPS: Wraps = Wraps::Weightings;

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn around(&self) -> &str {
        &self.around
    }

    fn wrap(&self, inside: &Inside, seed: u64) -> Result<Combine> {
        Ok(Combine::Direction(Box::new(Sam::new(inside.weighting(seed)?, self.rho)?)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("sam", "SAM", MethodKind::Wrapper, read::<Settings>)
        .described(
            "takes the gradient of the weighted loss where it is worst",
            "2 forward and 2 backward passes",
            "Foret et al. 2021",
        )
        .titled("Sharpness-aware minimization for efficiently improving generalization")
        .explained(
            "g = grad sum_i w_i L_i; d = grad sum_i w_i L_i at psi + rho g / |g|",
            "none for a single step",
            &[
                ["around", "a method's name", "the wrapped method"],
                ["rho", ">= 0", "length of the perturbation"],
                ["settings", "a table", "the settings of the wrapped method"],
            ],
        )
        .inheriting("joint")
}
