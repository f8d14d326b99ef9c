//! Settings of methods that combine, then optimise.

use figment::Figment;
use mtcool_baselines::Joint;
use mtcool_core::{Combine, GradientMethod, Method};
use serde::{Deserialize, Serialize};

use super::{MethodSettings, Read};
use crate::config::TrainingConfig;

/// What every gradient method has.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GradientSettings {
    /// Positive.
    learning_rate: f64,
}

pub(super) fn joint(figment: &Figment) -> Read {
    Ok(Box::new(figment.extract::<GradientSettings>().map_err(Box::new)?))
}

impl MethodSettings for GradientSettings {
    fn describe(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, training: &TrainingConfig, _seed: u64) -> mtcool_core::Result<Box<dyn Method>> {
        let combine = Combine::Losses(Box::new(Joint));
        Ok(Box::new(GradientMethod::new(combine, self.learning_rate, training.sgd(), training.rate())?))
    }
}
