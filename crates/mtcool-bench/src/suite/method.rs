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
    /// The title of this paper, if it is known, for `mtcool cite`.
    pub title: Option<Name>,
    /// Whether the tasks share a network.
    pub sharing: Sharing,
    /// The smallest number of tasks that it is defined for.
    pub least_tasks: usize,
    /// What `mtcool methods --explain` says besides.
    pub details: MethodDetails,
    /// The method whose table `[method.*]` supplies the settings that are missing in this method's own table, as far as this method
    /// has them.
    pub inherits: Option<Name>,
    /// Reads the settings of the method.
    pub settings: ReadMethod,
}

impl MethodEntry {
    /// A method on one shared network, for any number of tasks, that inherits no settings; description, needs and reference are `-`.
    pub fn new(name: impl Into<Name>, label: impl Into<Name>, kind: MethodKind, settings: ReadMethod) -> Self {
        Self {
            name: name.into(),
            label: label.into(),
            kind,
            summary: "-".into(),
            needs: "-".into(),
            reference: "-".into(),
            title: None,
            sharing: Sharing::Shared,
            least_tasks: 1,
            details: MethodDetails::default(),
            inherits: None,
            settings,
        }
    }

    /// The same entry with what it does, what it computes in one step, and the paper that introduced it.
    #[must_use]
    pub fn described(self, summary: &'static str, needs: &'static str, reference: &'static str) -> Self {
        Self { summary: summary.into(), needs: needs.into(), reference: reference.into(), ..self }
    }

    /// The same entry with the title of its paper.
    #[must_use]
    pub fn titled(self, title: &'static str) -> Self {
        Self { title: Some(title.into()), ..self }
    }

    /// The same entry with its formula, what it guarantees, and (key, range, meaning) of each of its settings but the learning rate.
    #[must_use]
    pub fn explained(self, formula: &'static str, guarantee: &'static str, settings: &[[&'static str; 3]]) -> Self {
        let setting = |&[key, range, meaning]: &[&'static str; 3]| SettingHelp { key, range, meaning };
        let settings = settings.iter().map(setting).collect();
        Self { details: MethodDetails { formula: formula.into(), guarantee: guarantee.into(), settings }, ..self }
    }

    /// The same entry with the settings of the method `parent` where its own table has none.
    #[must_use]
    pub fn inheriting(self, parent: &'static str) -> Self {
        Self { inherits: Some(parent.into()), ..self }
    }

    /// The tables `[method.*]` that its settings come from; a later table overrides an earlier one.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.inherits.as_deref().into_iter().chain([&*self.name])
    }
}

/// A method's formula, its guarantee and its settings, as `mtcool methods --explain` prints them.
#[derive(Clone, Debug)]
pub struct MethodDetails {
    /// What it computes, in the notation of the documentation: tasks i, gradients g, losses L, direction d.
    pub formula: Name,
    /// What is known about its steps or about where it ends.
    pub guarantee: Name,
    /// Its settings besides the learning rate.
    pub settings: Vec<SettingHelp>,
}

impl Default for MethodDetails {
    fn default() -> Self {
        Self { formula: "-".into(), guarantee: "-".into(), settings: Vec::new() }
    }
}

/// One setting of a method. Its default follows from the method's own settings.
#[derive(Clone, Copy, Debug)]
pub struct SettingHelp {
    /// The key in the table `[method.*]`.
    pub key: &'static str,
    /// The valid values.
    pub range: &'static str,
    /// What it does.
    pub meaning: &'static str,
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
    /// The direction comes from passes of the method's own, for instance on several independent batches.
    Passes,
    /// A method that is applied to a weighting or an aggregator.
    Wrapper,
}

impl MethodKind {
    /// All families.
    pub const ALL: [Self; 6] =
        [Self::Separate, Self::Alternating, Self::Weighting, Self::Aggregator, Self::Passes, Self::Wrapper];

    /// The family's name in flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Separate => "separate",
            Self::Alternating => "alternating",
            Self::Weighting => "weighting",
            Self::Aggregator => "aggregator",
            Self::Passes => "passes",
            Self::Wrapper => "wrapper",
        }
    }

    /// The family's name in tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::Separate => "separate",
            Self::Alternating => "tasks in turn",
            Self::Weighting => "loss weighting",
            Self::Aggregator => "aggregator",
            Self::Passes => "own passes",
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
