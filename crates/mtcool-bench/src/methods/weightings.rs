//! Settings of the methods that weight losses. The defaults are the values of each method's authors, where they give any.

use mtcool_baselines as baselines;
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::Keys;

/// Implements [`Keys`] for each settings type, from the combination rule that its settings describe.
macro_rules! weightings {
    ($($name:ident => $build:expr;)*) => {$(
        impl Keys for $name {
            fn learning_rate(&self) -> f64 {
                self.learning_rate
            }

            fn combine(&self, seed: u64) -> Result<Combine> {
                let build: fn(&Self, u64) -> Result<Combine> = $build;
                build(self, seed)
            }
        }
    )*};
}

weightings! {
    Uncertainty => |keys, _| Ok(Combine::Losses(Box::new(baselines::Uncertainty::new(keys.weight_rate)?)));
    Dwa => |keys, _| Ok(Combine::Losses(Box::new(baselines::Dwa::new(keys.temperature, keys.window)?)));
    RandomWeighting => |_, seed| Ok(Combine::Losses(Box::new(baselines::RandomWeighting::new(seed))));
    GradNorm => |keys, _| Ok(Combine::Gradients(Box::new(baselines::GradNorm::new(keys.alpha, keys.weight_rate)?)));
    Famo => |keys, _| Ok(Combine::Losses(Box::new(baselines::Famo::new(keys.weight_rate, keys.gamma)?)));
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Uncertainty {
    learning_rate: f64,
    #[serde(default = "weight_rate")]
    weight_rate: f64,
}

fn weight_rate() -> f64 {
    0.025
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dwa {
    learning_rate: f64,
    #[serde(default = "temperature")]
    temperature: f64,
    /// Number of steps per window; in the paper a window is one epoch.
    #[serde(default = "window")]
    window: u64,
}

fn temperature() -> f64 {
    2.0
}

fn window() -> u64 {
    200
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RandomWeighting {
    learning_rate: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GradNorm {
    learning_rate: f64,
    #[serde(default = "asymmetry")]
    alpha: f64,
    #[serde(default = "weight_rate")]
    weight_rate: f64,
}

fn asymmetry() -> f64 {
    1.5
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Famo {
    learning_rate: f64,
    #[serde(default = "weight_rate")]
    weight_rate: f64,
    #[serde(default = "decay")]
    gamma: f64,
}

fn decay() -> f64 {
    1e-3
}
