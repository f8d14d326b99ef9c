//! The content of an experiment's file after a profile has been chosen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::value::Dict;
use serde::{Deserialize, Serialize};

use super::claims::Claim;
use super::external::ExternalConfig;
use super::factors::Factor;
use super::roles::Roles;
use super::seeds::Seeds;
use crate::suite::{DatasetEntry, NetworkConfig, PrecisionSetting, Split, SyntheticConfig, TrainingConfig};

/// An experiment: everything in its TOML file, after a profile has been chosen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The experiment's name, and the name of its folder of results; without it, the name of its file without `.toml`.
    pub name: Option<String>,
    /// The caption of the results table.
    pub title: String,
    /// The name of a data set of the registry.
    pub dataset: String,
    /// Names of methods of the registry and of variants, in the order of the table's rows; `["all"]` stands for all of them.
    pub methods: Vec<String>,
    /// Number of runs of each method, or a list of seeds.
    pub seeds: Seeds,
    /// Lists of values for settings of methods, such as `method.mtcool.bound = [0.01, 0.02]`: a row for each value.
    #[serde(default)]
    pub grid: Dict,
    /// What `mtcool search` tries: settings of the search, and for each method a table with the values of its settings.
    #[serde(default)]
    pub search: Dict,
    /// `cpu`, or a name such as `cuda:0`.
    pub device: String,
    /// What this profile has in common with the paper's experiment and what not: phrases for the note below the table. Data,
    /// epochs and runs are named there anyway.
    #[serde(default)]
    pub compared: Vec<String>,
    /// Whether variables or flags changed settings of the profile, so that `compared` may not describe the runs.
    #[serde(skip)]
    pub has_changed_settings: bool,
    /// Whether variables or flags changed the profile's network, so that the paper's results belong to another one.
    #[serde(skip)]
    pub has_other_network: bool,
    /// Notes that every report prints below the table.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The split that the table reports: `validation` while settings are chosen, so that the test split is not read.
    #[serde(default)]
    pub report: Split,
    /// The methods that the report compares the others with.
    #[serde(default)]
    pub roles: Roles,
    /// The precision of the operands of convolutions and linear layers.
    #[serde(default)]
    pub precision: PrecisionSetting,
    /// Number of steps between two measurements of the tasks' gradients, for methods that do not compute these gradients
    /// themselves. Each measurement costs one forward and one backward pass per task. 0 turns them off.
    #[serde(default)]
    pub probe_every: u64,
    /// Number of steps between two records of the training losses, as means over these steps (`step_loss` in `metrics.parquet`). 0
    /// turns them off. Like the number of threads, it changes no result, so it is no part of a run's identity, and a finished run
    /// is not made again for it.
    #[serde(default)]
    pub log_every: u64,
    /// The files that get the metrics while a run trains. Like `log_every`, it changes no result.
    #[serde(default = "parquet_alone")]
    pub log: Vec<MetricLog>,
    /// Levels of the network, from the top, whose inside the backward pass computes again, so that it need not be kept: less memory
    /// for more time. Like `log_every`, it changes no result, so a run may be interrupted and go on with another number.
    #[serde(default)]
    pub recompute: usize,
    /// A diagnosis instead of a result: every run trains on this number of examples of the training part, without augmentation, and
    /// is measured on the same ones. A network that learns anything fits them.
    pub overfit: Option<u64>,
    /// Whether `metrics.parquet` tells where the time of each epoch goes (split `time`). Like `log_every`, it changes no result.
    #[serde(default = "yes")]
    pub log_times: bool,
    /// The source of the data.
    pub data: DataConfig,
    /// Sizes of the network.
    pub network: NetworkConfig,
    /// The settings that all methods share.
    pub training: TrainingConfig,
    /// The losses of each task; a task without an entry gets the usual loss of its kind.
    #[serde(default)]
    pub loss: BTreeMap<String, Dict>,
    /// Each method's own settings. A table with the key `like` is a variant of the method that `like` names: it has the settings of
    /// this method except for its own ones, and is a row of its own. Its tables `training` and `network` replace values of the
    /// experiment's tables of these names for its row alone.
    #[serde(default)]
    pub method: BTreeMap<String, Dict>,
    /// Labelled folders beside the training data, on which finished runs are measured. Like titles, they change no run.
    #[serde(default)]
    pub external: Vec<ExternalConfig>,
    /// How the paper obtained its results; required if `reference` has any.
    pub paper: Option<PaperSetting>,
    /// What the paper says in words, as comparisons that the report judges.
    #[serde(default)]
    pub claims: Vec<Claim>,
    /// Rows that differ in one factor each, which the report shows side by side.
    #[serde(default)]
    pub factors: Vec<Factor>,
    /// The paper's results, by method or variant.
    #[serde(default)]
    pub reference: BTreeMap<String, Reference>,
}

fn yes() -> bool {
    true
}

fn parquet_alone() -> Vec<MetricLog> {
    vec![MetricLog::Parquet]
}

/// A kind of file with the metrics of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricLog {
    /// `metrics.parquet`, from which tables and reports are made.
    Parquet,
    /// An event file for TensorBoard beside it, with the same numbers and the run's settings, and one with the figure beside each
    /// table.
    Tensorboard,
}

/// The folder for decoded pictures unless `data.cache` names another one.
pub const CACHE: &str = "data/cache";

/// The source of the data.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// How the data gets into its folder.
    pub source: DataSource,
    /// The folder of the data; by default a folder below `data/` named after the data set.
    pub folder: Option<PathBuf>,
    /// The folder for decoded pictures, by default `data/cache`. It changes no result, and may be deleted at any time.
    #[serde(default)]
    pub cache: Option<PathBuf>,
    /// Size and seed of a synthetic set; by default those of `mtcool data synth`.
    #[serde(default)]
    pub synthetic: Option<SyntheticConfig>,
    /// The data set's own settings, which it checks itself.
    #[serde(default)]
    pub settings: Dict,
}

impl DataConfig {
    /// The folder of the data set: the configured folder or the default one.
    pub fn folder_of(&self, dataset: &DatasetEntry) -> PathBuf {
        match (&self.folder, self.source) {
            (Some(folder), _) => folder.clone(),
            (None, DataSource::Synth) => Path::new("data").join(format!("{}-synth", dataset.name)),
            (None, _) => Path::new("data").join(&*dataset.name),
        }
    }

    /// The folder for decoded pictures: the configured folder or the default one.
    pub fn cache(&self) -> &Path {
        self.cache.as_deref().unwrap_or(Path::new(CACHE))
    }
}

/// How the data gets into its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataSource {
    /// The program downloads it if it is missing.
    Fetch,
    /// The user has put it into the folder.
    Folder,
    /// The program draws synthetic data.
    Synth,
}

/// How the paper obtained its results, and how close to them ours have to be.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperSetting {
    /// Number of runs of each method.
    pub runs: usize,
    /// Number of epochs, if the paper tells it.
    pub epochs: Option<u64>,
    /// The largest difference from the paper's mean that counts as reproduced, by `task.metric`, in the metric's unit.
    pub tolerance: BTreeMap<String, f64>,
    /// Notes on the paper's results, for reports that show them.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A row of the paper's table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Parameters relative to Joint.
    pub params: f64,
    /// The cells, by `task.metric`.
    pub cells: BTreeMap<String, Cell>,
}

/// A cell of the paper's table.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Mean over the paper's runs.
    pub mean: f64,
    /// Standard deviation over the paper's runs, if the paper gives one.
    pub std: Option<f64>,
}
