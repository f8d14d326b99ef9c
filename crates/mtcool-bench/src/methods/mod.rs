//! The registry of methods: what `--methods` and an experiment's TOML may name.

mod gradient;
mod mtcool;

use std::fmt::Debug;

use figment::Figment;
use mtcool_core::Method;

use crate::config::{ConfigError, TrainingConfig};

/// A method as the program knows it.
#[derive(Clone, Copy)]
pub struct MethodEntry {
    /// In TOML, flags and folders.
    pub name: &'static str,
    /// In tables.
    pub label: &'static str,
    /// One line on what it does.
    pub summary: &'static str,
    /// Where it comes from.
    pub reference: &'static str,
    /// Whether the tasks share a network.
    pub sharing: Sharing,
    /// The `[method.*]` tables its settings come from, later over earlier.
    pub settings_from: &'static [&'static str],
    /// Reads its settings.
    pub settings: fn(&Figment) -> Read,
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

    /// Batches of each task without which the method does nothing of its own.
    fn least_batches(&self) -> u64 {
        1
    }

    /// What is valid but surely not meant.
    fn warning(&self) -> Option<&'static str> {
        None
    }
}

const WU: &str = "Wu et al. 2023";

/// Every method, one line each.
pub const METHODS: [MethodEntry; 5] = [
    MethodEntry {
        name: "independent",
        label: "Independent",
        summary: "a whole network a task, nothing shared",
        reference: "-",
        sharing: Sharing::Separate,
        settings_from: &["joint", "independent"],
        settings: gradient::joint,
    },
    MethodEntry {
        name: "joint",
        label: "Joint",
        summary: "one network, the sum of the losses",
        reference: "Caruana 1997",
        sharing: Sharing::Shared,
        settings_from: &["joint"],
        settings: gradient::joint,
    },
    MethodEntry {
        name: "vanilla",
        label: "Ours (Vanilla)",
        summary: "tasks in turn; no noise, no clamp, no KL",
        reference: WU,
        sharing: Sharing::Shared,
        settings_from: &["mtcool", "vanilla"],
        settings: mtcool::vanilla,
    },
    MethodEntry {
        name: "no_regularizer",
        label: "Ours (w/o Reg)",
        summary: "tasks in turn with noise and clamp; no KL",
        reference: WU,
        sharing: Sharing::Shared,
        settings_from: &["mtcool", "no_regularizer"],
        settings: mtcool::no_regularizer,
    },
    MethodEntry {
        name: "mtcool",
        label: "MT-COOL (Ours)",
        summary: "tasks in turn with noise, clamp and KL",
        reference: WU,
        sharing: Sharing::Shared,
        settings_from: &["mtcool"],
        settings: mtcool::full,
    },
];

/// The method called `name`.
///
/// # Errors
/// If there is none; names the nearest.
pub fn find(name: &str) -> Result<&'static MethodEntry, ConfigError> {
    let names = METHODS.each_ref().map(|entry| entry.name);
    METHODS.iter().find(|entry| entry.name == name).ok_or_else(|| ConfigError::unknown("method", name, &names))
}
