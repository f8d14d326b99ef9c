//! Settings of SAMO, a wrapper.

use mtcool_baselines::{Samo, SamoSettings};
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
    #[serde(default = "beta")]
    beta: f64,
    #[serde(default = "step")]
    step: f64,
    /// The settings of the wrapped method, without the learning rate.
    #[serde(default)]
    settings: InnerSettings,
}

fn around() -> String {
    "joint".into()
}

fn rho() -> f64 {
    SamoSettings::default().rho
}

fn beta() -> f64 {
    SamoSettings::default().beta
}

fn step() -> f64 {
    SamoSettings::default().step
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
        let Self { rho, beta, step, .. } = *self;
        let settings = SamoSettings { rho, beta, step };
        Ok(Combine::Direction(Box::new(Samo::new(inside.combine(seed)?, settings, seed)?)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("samo", "SAMO", MethodKind::Wrapper, read::<Settings>)
        .described(
            "takes gradients where losses are worse, found at the cost of one",
            "1 + T forward and backward passes, 2T forward passes",
            "Ban et al. 2025",
        ).titled("SAMO: a lightweight sharpness-aware approach for multi-task optimization with joint global-local perturbation")
        .explained(
            "h_i = (1 - beta) g + beta c z, g the mean gradient, c the slope of L_i along a random z; s_i = grad \
             L_i at theta + rho h_i / |h_i|; the wrapped method combines the s",
            "none for a single step",
            &[
                ["around", "a method's name", "the wrapped method"],
                ["rho", ">= 0", "length of the perturbation"],
                ["beta", "0 to 1", "share of each task's own estimate"],
                ["step", "> 0", "distance over which it is measured"],
                ["settings", "a table", "the settings of the wrapped method"],
            ],
        )
        .inheriting("joint")
}
