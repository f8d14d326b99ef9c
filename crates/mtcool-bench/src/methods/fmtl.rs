//! Settings of F-MTL, a wrapper: `around` names another method, `settings` are that method's own.

use figment::Figment;
use mtcool_baselines::{Fmtl, Wrapped};
use mtcool_core::{Combine, Error, GradientMethod, Method, Result};
use serde::{Deserialize, Serialize};

use super::{Kind, MethodSettings, Read, find};
use crate::config::TrainingConfig;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    learning_rate: f64,
    #[serde(default = "joint")]
    around: String,
    #[serde(default = "small")]
    rho_shared: f64,
    #[serde(default = "small")]
    rho_own: f64,
    /// Of the method inside, but for the learning rate.
    #[serde(default)]
    settings: serde_json::Map<String, serde_json::Value>,
}

fn joint() -> String {
    "joint".into()
}

/// What sharpness-aware minimisation has by default.
fn small() -> f64 {
    0.05
}

#[derive(Debug)]
struct FmtlSettings {
    keys: Keys,
    inside: Box<dyn MethodSettings>,
}

pub(super) fn read(figment: &Figment) -> Read {
    let keys: Keys = figment.extract().map_err(Box::new)?;
    let refuse = |message: String| Box::new(figment::Error::from(message).with_path("around"));
    let entry = find(&keys.around).map_err(|error| refuse(error.to_string()))?;
    if !matches!(entry.kind, Kind::Weighting | Kind::Aggregator) {
        return Err(refuse(format!("`{}`: expected a method that combines gradients or weighs losses", keys.around)));
    }
    let of_inside = figment.focus("settings").join(("learning_rate", keys.learning_rate));
    let inside = (entry.settings)(&of_inside).map_err(|mut error| {
        error.path.insert(0, "settings".into());
        error
    })?;
    Ok(Box::new(FmtlSettings { keys, inside }))
}

impl FmtlSettings {
    fn inside(&self, seed: u64) -> Result<Combine> {
        self.inside.combine(seed).unwrap_or_else(|| {
            let (expected, got) =
                ("a method that combines gradients or weighs losses".into(), self.keys.around.clone());
            Err(Error::Mismatch { what: "around".into(), expected, got })
        })
    }

    fn wrapped(&self, seed: u64) -> Result<Wrapped> {
        // Draws of its own for the second part.
        match (self.inside(seed)?, self.inside(seed ^ 0x9e37_79b9_7f4a_7c15)?) {
            (Combine::Losses(weighting), _) => Ok(Wrapped::Losses(weighting)),
            (Combine::Gradients(loss), Combine::Gradients(flat)) => Ok(Wrapped::Gradients { loss, flat }),
            _ => {
                let (expected, got) = ("a method that is not wrapped itself".into(), self.keys.around.clone());
                Err(Error::Mismatch { what: "around".into(), expected, got })
            }
        }
    }

    fn outside(&self, seed: u64) -> Result<Combine> {
        let fmtl = Fmtl::new(self.wrapped(seed)?, self.keys.rho_shared, self.keys.rho_own)?;
        Ok(Combine::Direction(Box::new(fmtl)))
    }
}

impl MethodSettings for FmtlSettings {
    fn describe(&self) -> serde_json::Value {
        let mut keys = serde_json::json!(self.keys);
        keys["settings"] = self.inside.describe();
        keys
    }

    fn build(&self, training: &TrainingConfig, seed: u64) -> Result<Box<dyn Method>> {
        Ok(Box::new(GradientMethod::new(self.outside(seed)?, self.keys.learning_rate, training.updates())?))
    }

    fn combine(&self, seed: u64) -> Option<Result<Combine>> {
        Some(self.outside(seed))
    }
}
