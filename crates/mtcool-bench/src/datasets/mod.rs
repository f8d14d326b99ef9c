//! The registry of data sets: what an experiment's `dataset` key and the `data` commands may name.

mod mnist;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use mtcool_core::{Parameters, Problem};
use mtcool_data::Dataset;
use mtcool_ops::Precision;

use crate::config::{ConfigError, DataConfig, DataSource, NetworkConfig, SyntheticConfig};
use crate::methods::Sharing;

/// A data set as the program knows it.
#[derive(Clone, Copy)]
pub struct DatasetEntry {
    /// In TOML and flags; also its folder below `data/`.
    pub name: &'static str,
    /// Downloads into a folder, or checks what is there.
    pub fetch: fn(&Path) -> Result<()>,
    /// Draws a synthetic set into a folder.
    pub synthesize: fn(&Path, SyntheticConfig) -> Result<()>,
    /// Checks a folder; the answer says what it holds.
    pub verify: fn(&Path) -> Result<String>,
    /// Columns of its table.
    pub columns: &'static [Column],
    /// Opens a folder.
    pub open: fn(&Path) -> Result<Box<dyn Suite>>,
}

/// Every data set, one line each.
const DATASETS: [DatasetEntry; 1] = [mnist::ENTRY];

/// The data set called `name`.
///
/// # Errors
/// If there is none; names the nearest.
pub fn find(name: &str) -> Result<&'static DatasetEntry, ConfigError> {
    let names = DATASETS.each_ref().map(|entry| entry.name);
    DATASETS.iter().find(|entry| entry.name == name).ok_or_else(|| ConfigError::unknown("data set", name, &names))
}

impl DatasetEntry {
    /// Where the set lies unless the user says otherwise.
    pub fn folder(&self, config: &DataConfig) -> PathBuf {
        match (&config.folder, config.source) {
            (Some(folder), _) => folder.clone(),
            (None, DataSource::Synth) => Path::new("data").join(format!("{}-synth", self.name)),
            (None, _) => Path::new("data").join(self.name),
        }
    }

    /// Makes sure the data is there, by the configured way, and opens it.
    ///
    /// # Errors
    /// If it cannot be had or is not what it should be.
    pub fn prepare(&self, config: &DataConfig) -> Result<Box<dyn Suite>> {
        let folder = self.folder(config);
        match config.source {
            DataSource::Fetch => (self.fetch)(&folder)?,
            DataSource::Synth => (self.synthesize)(&folder, config.synthetic)?,
            DataSource::Folder => {}
        }
        (self.open)(&folder)
    }
}

/// Which samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// For selection, while training.
    Validation,
    /// Read once, when training is over.
    Test,
}

impl Split {
    /// In `metrics.parquet`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }
}

/// One number of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The task's name.
    pub task: &'static str,
    /// Such as `accuracy`.
    pub metric: &'static str,
    /// In the metric's unit.
    pub value: f64,
}

/// The outcome for one sample of one task, kept for paired tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// The task's name.
    pub task: &'static str,
    /// Among the task's samples.
    pub index: u32,
    /// The true class.
    pub target: u32,
    /// The class predicted.
    pub predicted: u32,
}

/// An evaluation of all tasks.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// Numbers, task by task.
    pub measurements: Vec<Measurement>,
    /// Sample by sample.
    pub predictions: Vec<Prediction>,
}

/// A column of the table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The task's name.
    pub task: &'static str,
    /// One of its test metrics.
    pub metric: &'static str,
    /// In the table's head.
    pub label: &'static str,
}

/// A data set with its tasks: what training and evaluation need of it.
pub trait Suite: Send + Sync {
    /// Names of the tasks, in order.
    fn tasks(&self) -> &'static [&'static str];

    /// Columns of the table.
    fn columns(&self) -> &'static [Column];

    /// What the files are, as part of a run's identity; `null` for the real data.
    fn origin(&self) -> serde_json::Value;

    /// The training samples of a task.
    fn training(&self, task: usize) -> Arc<dyn Dataset>;

    /// The network, with its operands in `precision`, and the losses.
    ///
    /// # Errors
    /// If the sizes do not fit the tasks.
    fn problem(&self, network: &NetworkConfig, precision: Precision, sharing: Sharing) -> Result<Problem>;

    /// Metrics of all tasks on a split.
    ///
    /// # Errors
    /// If a forward pass fails.
    fn evaluate(&self, problem: &Problem, parameters: &Parameters, split: Split) -> Result<Evaluation>;
}
