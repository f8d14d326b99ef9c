//! A method before it is built: its names, its settings, and the function that builds it.

use std::fmt::Debug;

use mtcool_core::{Combine, Method};

use super::error::ConfigError;
use super::lookup::find;
use super::name::Name;
use super::network::Sharing;
use super::settings::{Settings, SettingsError};
use super::training::TrainingConfig;

/// Reads the settings of a method. The list of all methods is for wrappers, which are applied to one of the other methods.
pub type ReadMethod = fn(&Settings, &[MethodEntry]) -> Result<Box<dyn MethodSettings>, SettingsError>;

/// A method as the program knows it: one entry of the registry.
#[derive(Clone, Debug)]
pub struct MethodEntry {
    /// Its name in TOML files, flags and folder names.
    pub name: Name,
    /// Its name in tables.
    pub label: Name,
    /// The family that it belongs to.
    pub kind: MethodKind,
    /// A short description of what it does.
    pub summary: Name,
    /// What it computes in one step.
    pub needs: Name,
    /// The paper that introduced it.
    pub reference: Name,
    /// Whether the tasks share a network.
    pub sharing: Sharing,
    /// The method whose table `[method.*]` supplies the settings that are missing in this method's own table, as far as this method
    /// has them.
    pub inherits: Option<Name>,
    /// Reads the settings of the method.
    pub settings: ReadMethod,
}

impl MethodEntry {
    /// A method on one shared network that inherits no settings; description, needs and reference are `-`.
    pub fn new(name: impl Into<Name>, label: impl Into<Name>, kind: MethodKind, settings: ReadMethod) -> Self {
        Self {
            name: name.into(),
            label: label.into(),
            kind,
            summary: "-".into(),
            needs: "-".into(),
            reference: "-".into(),
            sharing: Sharing::Shared,
            inherits: None,
            settings,
        }
    }

    /// The tables `[method.*]` that its settings come from; a later table overrides an earlier one.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.inherits.as_deref().into_iter().chain([&*self.name])
    }
}

/// The method of `entries` called `name`.
///
/// # Errors
/// If there is no such method; the message suggests the most similar name.
pub fn find_method<'a>(entries: &'a [MethodEntry], name: &str) -> Result<&'a MethodEntry, ConfigError> {
    find(entries, "method", name, |entry| &entry.name)
}

/// Families of methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodKind {
    /// Each task has its own network.
    Separate,
    /// Tasks are updated in turn.
    Alternating,
    /// The losses are weighted before one backward pass.
    Weighting,
    /// The tasks' gradients are combined.
    Aggregator,
    /// A method that is applied to a weighting or an aggregator.
    Wrapper,
}

impl MethodKind {
    /// The family's name in tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::Separate => "separate",
            Self::Alternating => "tasks in turn",
            Self::Weighting => "loss weighting",
            Self::Aggregator => "aggregator",
            Self::Wrapper => "wrapper",
        }
    }
}

/// The settings of a method, from which the method is built.
pub trait MethodSettings: Debug + Send + Sync {
    /// All settings with defaults filled in. They are part of the run's identity.
    fn describe(&self) -> serde_json::Value;

    /// Builds the method in its initial state.
    ///
    /// # Errors
    /// If a setting is out of range.
    fn build(&self, training: &TrainingConfig, seed: u64) -> mtcool_core::Result<Box<dyn Method>>;

    /// Checks the settings that depend on the number of tasks.
    ///
    /// # Errors
    /// If a setting does not fit `tasks` tasks.
    fn check_tasks(&self, tasks: usize) -> mtcool_core::Result<()> {
        let _ = tasks;
        Ok(())
    }

    /// How the method combines the tasks, for wrappers; `None` for methods that are not a combination rule followed by an
    /// optimiser.
    fn combine(&self, seed: u64) -> Option<mtcool_core::Result<Combine>> {
        let _ = seed;
        None
    }

    /// The smallest number of batches per task with which the method completes its warm-up and one iteration.
    fn least_batches(&self, training: &TrainingConfig) -> u64 {
        training.accumulate as u64
    }

    /// These settings with a warm-up that fits into a run of `batches` batches per task, and a sentence which says so, without the
    /// final full stop; `None` if they fit as they are, or no warm-up would fit.
    fn shortened(&self, training: &TrainingConfig, batches: u64) -> Option<(Box<dyn MethodSettings>, String)> {
        let _ = (training, batches);
        None
    }

    /// A warning about settings that are valid but probably a mistake.
    fn warning(&self) -> Option<&'static str> {
        None
    }
}
