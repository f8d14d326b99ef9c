//! Settings of gradient methods, which combine the tasks and then call an optimiser: the common part, and the settings of Joint.

use std::fmt::Debug;

use mtcool_core::{Combine, GradientMethod, Method};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::suite::{MethodEntry, MethodSettings, Settings, SettingsError, TrainingConfig};

/// The keys of a gradient method's table.
pub(super) trait Keys: Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The learning rate, positive.
    fn learning_rate(&self) -> f64;

    /// The rule that combines the tasks.
    fn combine(&self, seed: u64) -> mtcool_core::Result<Combine>;
}

/// Reads the settings of a gradient method.
pub(super) fn read<K: Keys>(settings: &Settings, _: &[MethodEntry]) -> Result<Box<dyn MethodSettings>, SettingsError> {
    Ok(Box::new(GradientSettings(settings.read::<K>()?)))
}

#[derive(Debug)]
struct GradientSettings<K>(K);

impl<K: Keys> MethodSettings for GradientSettings<K> {
    fn describe(&self) -> serde_json::Value {
        serde_json::json!(self.0)
    }

    fn build(&self, training: &TrainingConfig, seed: u64) -> mtcool_core::Result<Box<dyn Method>> {
        let combine = self.0.combine(seed)?;
        Ok(Box::new(GradientMethod::new(combine, self.0.learning_rate(), training.updates()?)?))
    }

    fn combine(&self, seed: u64) -> Option<mtcool_core::Result<Combine>> {
        Some(self.0.combine(seed))
    }
}

/// Settings of Joint and of Independent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Joint {
    learning_rate: f64,
}

impl Keys for Joint {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> mtcool_core::Result<Combine> {
        Ok(Combine::Losses(Box::new(mtcool_baselines::Joint)))
    }
}
