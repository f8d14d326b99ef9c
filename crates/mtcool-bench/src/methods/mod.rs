//! The registry of methods: what `--methods` and an experiment's TOML may name.

mod aggregators;
mod fmtl;
mod gradient;
mod mtcool;
mod noise;
mod registry;
mod weightings;

use std::fmt::Debug;

use figment::Figment;
use mtcool_core::{Combine, Method};

use crate::config::{ConfigError, TrainingConfig};

pub use noise::PlacedNoise;
pub use registry::METHODS;

/// A method as the program knows it.
#[derive(Clone, Copy)]
pub struct MethodEntry {
    /// In TOML, flags and folders.
    pub name: &'static str,
    /// In tables.
    pub label: &'static str,
    /// What family it is of.
    pub kind: Kind,
    /// One line on what it does.
    pub summary: &'static str,
    /// What it computes in a step.
    pub needs: &'static str,
    /// Where it comes from.
    pub reference: &'static str,
    /// Whether the tasks share a network.
    pub sharing: Sharing,
    /// The `[method.*]` tables its settings come from, later over earlier.
    pub settings_from: &'static [&'static str],
    /// Reads its settings.
    pub settings: fn(&Figment) -> Read,
}

/// Families of methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing is shared.
    Separate,
    /// Tasks are updated in turn.
    Alternating,
    /// The losses are weighted before one backward pass.
    Weighting,
    /// The tasks' gradients are combined.
    Aggregator,
    /// Put around a weighting or an aggregator.
    Wrapper,
}

impl Kind {
    /// In words.
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

/// Settings as read from a configuration, keys relative to the method's table in errors.
pub type Read = Result<Box<dyn MethodSettings>, Box<figment::Error>>;

/// Whether the tasks share a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// One network, its layers owned by all tasks.
    Shared,
    /// A network of its own for each task.
    Separate,
}

/// A method's settings, read and ready to build it.
pub trait MethodSettings: Debug + Send + Sync {
    /// All of them, defaults filled in: part of the run's identity.
    fn describe(&self) -> serde_json::Value;

    /// The method, at its beginning.
    ///
    /// # Errors
    /// If a setting is out of its range.
    fn build(&self, training: &TrainingConfig, seed: u64) -> mtcool_core::Result<Box<dyn Method>>;

    /// How it combines the tasks, for wrappers; nothing for methods that do not combine, then optimise.
    fn combine(&self, seed: u64) -> Option<mtcool_core::Result<Combine>> {
        let _ = seed;
        None
    }

    /// Batches of each task without which the method does nothing of its own.
    fn least_batches(&self) -> u64 {
        1
    }

    /// What is valid but surely not meant.
    fn warning(&self) -> Option<&'static str> {
        None
    }
}

/// The method called `name`.
///
/// # Errors
/// If there is none; names the nearest.
pub fn find(name: &str) -> Result<&'static MethodEntry, ConfigError> {
    let names: Vec<_> = METHODS.iter().map(|entry| entry.name).collect();
    METHODS.iter().find(|entry| entry.name == name).ok_or_else(|| ConfigError::unknown("method", name, &names))
}
