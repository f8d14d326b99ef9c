//! Settings of F-MTL, a wrapper: `around` names the wrapped method, and `settings` holds the settings of that method.

use mtcool_baselines::{Fmtl, Wrapped};
use mtcool_core::{Combine, Error, GradientMethod, Method, Result};
use serde::{Deserialize, Serialize};

use crate::suite::{MethodEntry, MethodKind, MethodSettings, Settings, SettingsError, TrainingConfig, find_method};

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
    /// The settings of the wrapped method, without the learning rate.
    #[serde(default)]
    settings: serde_json::Map<String, serde_json::Value>,
}

fn joint() -> String {
    "joint".into()
}

/// The usual radius of sharpness-aware minimisation.
fn small() -> f64 {
    0.05
}

#[derive(Debug)]
struct FmtlSettings {
    keys: Keys,
    inside: Box<dyn MethodSettings>,
}

pub(super) fn read(
    settings: &Settings,
    methods: &[MethodEntry],
) -> std::result::Result<Box<dyn MethodSettings>, SettingsError> {
    let keys: Keys = settings.read()?;
    let refuse = |message: String| SettingsError::new("around", message);
    let entry = find_method(methods, &keys.around).map_err(|error| refuse(error.to_string()))?;
    if !matches!(entry.kind, MethodKind::Weighting | MethodKind::Aggregator) {
        return Err(refuse(format!("`{}`: expected a method that combines gradients or weighs losses", keys.around)));
    }
    let of_inside = settings.table("settings").or("learning_rate", keys.learning_rate);
    let inside = (entry.settings)(&of_inside, methods).map_err(|error| error.within("settings"))?;
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
        // The second aggregator gets its own random draws.
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
        Ok(Box::new(GradientMethod::new(self.outside(seed)?, self.keys.learning_rate, training.updates()?)?))
    }

    fn check_tasks(&self, tasks: usize) -> Result<()> {
        self.inside.check_tasks(tasks)
    }

    fn combine(&self, seed: u64) -> Option<Result<Combine>> {
        Some(self.outside(seed))
    }
}
