//! Settings of gradient methods, which combine the tasks and then call an optimiser: the common part, and the settings of Joint.

use std::fmt::Debug;

use mtcool_core::{Combine, Error, GradientMethod, Method};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::suite::{MethodEntry, MethodSettings, Settings, SettingsError, TrainingConfig};

/// A setting for `mtcool methods --explain`: its key, its range, and what it is.
pub(super) type Explained = [&'static str; 3];

/// The setting of aggregators whose direction is a mean of the gradients.
pub(super) const DIRECTION_SCALE: Explained =
    ["direction_scale", "sum | raw", "multiply by T, so that a learning rate means the same as for Joint, or not"];

/// The keys of a gradient method's table.
pub(super) trait Keys: Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The learning rate, positive.
    fn learning_rate(&self) -> f64;

    /// The rule that combines the tasks.
    fn combine(&self, seed: u64) -> mtcool_core::Result<Combine>;

    /// Checks the settings that depend on the number of tasks.
    fn check_tasks(&self, tasks: usize) -> mtcool_core::Result<()> {
        let _ = tasks;
        Ok(())
    }
}

/// Checks that the list `values` at `key` has one number per task, or none.
///
/// # Errors
/// If it has another length.
pub(super) fn one_per_task_or_none(key: &str, values: &[f64], tasks: usize) -> mtcool_core::Result<()> {
    if [0, tasks].contains(&values.len()) {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: format!("`{key}`"),
        expected: format!("{tasks} numbers, one per task, or none"),
        got: format!("{values:?}"),
    })
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
        let method = GradientMethod::new(combine, self.0.learning_rate(), training.updates()?)?;
        Ok(Box::new(method.storing(training.gradient_storage()?)))
    }

    fn check_tasks(&self, tasks: usize) -> mtcool_core::Result<()> {
        self.0.check_tasks(tasks)
    }

    fn combine(&self, seed: u64) -> Option<mtcool_core::Result<Combine>> {
        Some(self.0.combine(seed))
    }

    fn least_batches(&self, training: &TrainingConfig) -> u64 {
        let independent = self.0.combine(0).map_or(1, |combine| combine.independent_batches());
        (training.accumulate * independent) as u64
    }
}

/// Settings of Joint.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Joint {
    learning_rate: f64,
    /// Fixed weights of the losses, one per task; without them every loss has the weight 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weights: Option<Vec<f64>>,
}

impl Keys for Joint {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> mtcool_core::Result<Combine> {
        Ok(Combine::Losses(match &self.weights {
            Some(weights) => Box::new(mtcool_baselines::Scalarization::new(weights.clone())?),
            None => Box::new(mtcool_baselines::Joint),
        }))
    }

    fn check_tasks(&self, tasks: usize) -> mtcool_core::Result<()> {
        match &self.weights {
            Some(weights) if weights.len() != tasks => Err(Error::Mismatch {
                what: "`weights`".into(),
                expected: format!("{tasks} numbers, one per task"),
                got: format!("{}", weights.len()),
            }),
            _ => Ok(()),
        }
    }
}

/// Settings of Independent. Each of its networks has one loss, so that there is nothing to weight.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Independent {
    learning_rate: f64,
}

impl Keys for Independent {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> mtcool_core::Result<Combine> {
        Ok(Combine::Losses(Box::new(mtcool_baselines::Joint)))
    }
}
