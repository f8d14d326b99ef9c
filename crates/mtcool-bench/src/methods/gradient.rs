//! Settings of methods that combine, then optimise: what they have in common, and Joint's.

use std::fmt::Debug;

use figment::Figment;
use mtcool_core::{Combine, GradientMethod, Method};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{MethodSettings, Read};
use crate::config::TrainingConfig;

/// The keys of a gradient method's table.
pub(super) trait Keys: Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Positive.
    fn learning_rate(&self) -> f64;

    /// How it combines the tasks.
    fn combine(&self, seed: u64) -> mtcool_core::Result<Combine>;
}

/// Reads the keys of any gradient method.
pub(super) fn read<K: Keys>(figment: &Figment) -> Read {
    Ok(Box::new(GradientSettings(figment.extract::<K>().map_err(Box::new)?)))
}

#[derive(Debug)]
struct GradientSettings<K>(K);

impl<K: Keys> MethodSettings for GradientSettings<K> {
    fn describe(&self) -> serde_json::Value {
        serde_json::json!(self.0)
    }

    fn build(&self, training: &TrainingConfig, seed: u64) -> mtcool_core::Result<Box<dyn Method>> {
        let combine = self.0.combine(seed)?;
        Ok(Box::new(GradientMethod::new(combine, self.0.learning_rate(), training.updates())?))
    }

    fn combine(&self, seed: u64) -> Option<mtcool_core::Result<Combine>> {
        Some(self.0.combine(seed))
    }
}

/// Settings of Joint, and of Independent.
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
