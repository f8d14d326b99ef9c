//! What wrappers have in common: `around` names the wrapped method, and `settings` holds the settings of that method.

use std::fmt::Debug;
use std::sync::Arc;

use mtcool_core::{Aggregator, Combine, Error, GradientMethod, LossWeighting, Method, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::suite::{MethodEntry, MethodKind, MethodSettings, Settings, SettingsError, TrainingConfig, find_method};

/// The settings of a wrapped method as they stand in the table, without the learning rate.
pub(super) type InnerSettings = serde_json::Map<String, serde_json::Value>;

/// The keys of a wrapper's table.
pub(super) trait WrapperKeys: Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Which methods it can be applied to.
    const WRAPS: Wraps;

    /// The learning rate, positive.
    fn learning_rate(&self) -> f64;

    /// The name of the wrapped method.
    fn around(&self) -> &str;

    /// Checks the wrapper's own settings that depend on the number of tasks.
    fn check_tasks(&self, tasks: usize) -> Result<()> {
        let _ = tasks;
        Ok(())
    }

    /// The wrapper around `inside`.
    fn wrap(&self, inside: &Inside, seed: u64) -> Result<Combine>;
}

/// The methods that a wrapper can be applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wraps {
    /// Loss weightings and aggregators.
    Both,
    /// Loss weightings.
    Weightings,
    /// Aggregators.
    Aggregators,
}

impl Wraps {
    fn has(self, kind: MethodKind) -> bool {
        match kind {
            MethodKind::Weighting => self != Self::Aggregators,
            MethodKind::Aggregator => self != Self::Weightings,
            _ => false,
        }
    }

    /// The methods in words, for an error message.
    fn expected(self) -> &'static str {
        match self {
            Self::Both => "a method that combines gradients or weighs losses",
            Self::Weightings => "a method that weighs losses",
            Self::Aggregators => "a method that combines gradients",
        }
    }
}

/// The wrapped method.
#[derive(Clone, Debug)]
pub(super) struct Inside {
    name: String,
    settings: Arc<dyn MethodSettings>,
}

impl Inside {
    /// How it combines the tasks, with random choices that follow from `seed`.
    pub(super) fn combine(&self, seed: u64) -> Result<Combine> {
        self.settings.combine(seed).unwrap_or_else(|| Err(self.refusal(Wraps::Both.expected())))
    }

    /// The aggregator.
    ///
    /// # Errors
    /// If it is another kind of method.
    pub(super) fn aggregator(&self, seed: u64) -> Result<Box<dyn Aggregator>> {
        match self.combine(seed)? {
            Combine::Gradients(aggregator) => Ok(aggregator),
            _ => Err(self.refusal("an aggregator")),
        }
    }

    /// The loss weighting.
    ///
    /// # Errors
    /// If it is another kind of method.
    pub(super) fn weighting(&self, seed: u64) -> Result<Box<dyn LossWeighting>> {
        match self.combine(seed)? {
            Combine::Losses(weighting) => Ok(weighting),
            _ => Err(self.refusal("a method that weighs losses without their gradients")),
        }
    }

    /// That something else was `expected`.
    pub(super) fn refusal(&self, expected: &str) -> Error {
        Error::Mismatch { what: "around".into(), expected: expected.into(), got: self.name.clone() }
    }
}

/// Reads the settings of a wrapper and of the method that it is around.
pub(super) fn read<K: WrapperKeys>(
    settings: &Settings,
    methods: &[MethodEntry],
) -> std::result::Result<Box<dyn MethodSettings>, SettingsError> {
    let keys: K = settings.read()?;
    let refuse = |message: String| SettingsError::new("around", message);
    let entry = find_method(methods, keys.around()).map_err(|error| refuse(error.to_string()))?;
    if !K::WRAPS.has(entry.kind) {
        return Err(refuse(format!("`{}`: expected {}", keys.around(), K::WRAPS.expected())));
    }
    let of_inside = settings.table("settings").or("learning_rate", keys.learning_rate());
    let inside = (entry.settings)(&of_inside, methods).map_err(|error| error.within("settings"))?;
    let inside = Inside { name: keys.around().to_owned(), settings: inside.into() };
    Ok(Box::new(WrapperSettings { keys, inside }))
}

#[derive(Debug)]
struct WrapperSettings<K> {
    keys: K,
    inside: Inside,
}

impl<K: WrapperKeys> MethodSettings for WrapperSettings<K> {
    fn describe(&self) -> serde_json::Value {
        let mut keys = serde_json::json!(self.keys);
        keys["settings"] = self.inside.settings.describe();
        keys
    }

    fn build(&self, training: &TrainingConfig, seed: u64) -> Result<Box<dyn Method>> {
        let combine = self.keys.wrap(&self.inside, seed)?;
        let method = GradientMethod::new(combine, self.keys.learning_rate(), training.updates()?)?;
        Ok(Box::new(method.storing(training.gradient_storage()?)))
    }

    fn check_tasks(&self, tasks: usize) -> Result<()> {
        self.keys.check_tasks(tasks)?;
        self.inside.settings.check_tasks(tasks)
    }

    fn combine(&self, seed: u64) -> Option<Result<Combine>> {
        Some(self.keys.wrap(&self.inside, seed))
    }
}
