//! Settings of F-MTL, a wrapper.

use mtcool_baselines::{Fmtl, Wrapped};
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::around::{InnerSettings, Inside, WrapperKeys, Wraps};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    learning_rate: f64,
    #[serde(default = "joint")]
    around: String,
    #[serde(default = "small")]
    rho_shared: f64,
    #[serde(default = "small")]
    rho_own: f64,
    /// The settings of the wrapped method, without the learning rate.
    #[serde(default)]
    settings: InnerSettings,
}

fn joint() -> String {
    "joint".into()
}

/// The usual radius of sharpness-aware minimisation.
fn small() -> f64 {
    0.05
}

impl WrapperKeys for Keys {
    const WRAPS: Wraps = Wraps::Both;

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn around(&self) -> &str {
        &self.around
    }

    fn wrap(&self, inside: &Inside, seed: u64) -> Result<Combine> {
        // The second aggregator gets its own random draws.
        let wrapped = match (inside.combine(seed)?, inside.combine(seed ^ 0x9e37_79b9_7f4a_7c15)?) {
            (Combine::Losses(weighting), _) => Wrapped::Losses(weighting),
            (Combine::Gradients(loss), Combine::Gradients(flat)) => Wrapped::Gradients { loss, flat },
            _ => return Err(inside.refusal("a method that is not wrapped itself")),
        };
        Ok(Combine::Direction(Box::new(Fmtl::new(wrapped, self.rho_shared, self.rho_own)?)))
    }
}
