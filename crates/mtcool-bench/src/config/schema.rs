//! The shape of an experiment's configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use figment::value::Dict;
use mtcool_core::{RateSchedule, Sgd, UpdateSettings};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// An experiment: everything its TOML file says, a profile chosen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The table's caption.
    pub title: String,
    /// A data set of the registry.
    pub dataset: String,
    /// Methods of the registry, in the order of the table's rows.
    pub methods: Vec<String>,
    /// The methods that the file itself asks for: the first block of the table, whatever else is run.
    #[serde(skip)]
    pub first_block: Vec<String>,
    /// Runs a method: seeds 0, 1, ...
    pub seeds: u64,
    /// `cpu`.
    pub device: String,
    /// Whether this profile is the paper's setting, so that its figures may be set against the paper's.
    #[serde(default)]
    pub comparable: bool,
    /// What every report of it says below the table.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The split behind the table's figures: `validation` while choosing settings, so that the test split stays unread.
    #[serde(default)]
    pub report: ReportedSplit,
    /// Of the operands of convolutions and linear layers.
    #[serde(default)]
    pub precision: Precision,
    /// Steps from one look at the tasks' gradients to the next, for methods that do not compute them anyway; each costs a
    /// forward pass and a backward pass a task. 0: never.
    #[serde(default)]
    pub probe_every: u64,
    /// Where the data comes from.
    pub data: DataConfig,
    /// Sizes of the network.
    pub network: NetworkConfig,
    /// What all methods share.
    pub training: TrainingConfig,
    /// Each method's own settings.
    #[serde(default)]
    pub method: BTreeMap<String, Dict>,
    /// The paper's figures, by method.
    #[serde(default)]
    pub reference: BTreeMap<String, Reference>,
}

/// Where the data comes from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// How it gets there.
    pub source: DataSource,
    /// Where it lies; by default a folder below `data/` named after the data set.
    pub folder: Option<PathBuf>,
    /// Size and seed of a synthetic set.
    pub synthetic: SyntheticConfig,
    /// The data set's own settings, which it checks itself.
    #[serde(default)]
    pub settings: Dict,
}

/// How the data gets into its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataSource {
    /// Downloaded if it is not there.
    Fetch,
    /// The user has put it there.
    Folder,
    /// Drawn by this program.
    Synth,
}

/// Size and seed of a synthetic set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticConfig {
    /// Training images, validation included.
    pub train: usize,
    /// Test images.
    pub test: usize,
    /// Every image follows from it.
    pub seed: u64,
    /// How many times shorter than the official photographs' sides the images' sides are.
    #[serde(default = "whole_size")]
    pub shrink: usize,
}

fn whole_size() -> usize {
    1
}

/// The split behind a table's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportedSplit {
    /// Held out of training, for selection.
    Validation,
    /// For the final figures.
    #[default]
    Test,
}

/// How exact the operands of convolutions and linear layers are; sums, losses and parameters are f32 always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// As they are.
    #[default]
    F32,
    /// Rounded to bf16.
    Bf16,
    /// Rounded to TF32 by the tensor cores of an NVIDIA card; on a card only.
    Tf32,
}

impl Precision {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The operations' setting.
    pub fn of_operands(self) -> mtcool_ops::Precision {
        match self {
            Self::F32 => mtcool_ops::Precision::Full,
            Self::Bf16 => mtcool_ops::Precision::Bf16,
            Self::Tf32 => mtcool_ops::Precision::Tf32,
        }
    }
}

/// Sizes of the network; the data set decides which network it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Channels or units of each layer, over all tasks.
    pub widths: Vec<usize>,
    /// `concat` or `cross_stitch`.
    pub fusion: String,
    /// Groups of each group norm, for networks that have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<usize>,
    /// What is normalised together, for networks that normalise.
    #[serde(default, skip_serializing_if = "NormKind::is_default")]
    pub norm: NormKind,
}

/// What a network normalises together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormKind {
    /// Groups of channels, image by image.
    #[default]
    Group,
    /// Each channel over the batch at hand, in evaluation as in training: there are no running means.
    Batch,
}

impl NormKind {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What all methods of an experiment share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Budget: every method sees each task's samples this many times.
    pub epochs: u64,
    /// Samples of a task in a batch.
    pub batch_size: usize,
    /// Of SGD, in 0..1.
    pub momentum: f64,
    /// Of SGD, at least 0.
    pub weight_decay: f64,
    /// How learning rates change over the run.
    pub schedule: ScheduleKind,
    /// For `step`: when, as fractions of the run.
    #[serde(default)]
    pub milestones: Vec<f64>,
    /// For `step`: the factor at each milestone.
    #[serde(default = "one")]
    pub gamma: f64,
}

fn one() -> f64 {
    1.0
}

/// The learning-rate schedules, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// Always the base rate.
    Constant,
    /// Half a cosine down to 0.
    Cosine,
    /// Times `gamma` at each of the `milestones`.
    Step,
}

impl TrainingConfig {
    /// How all methods update parameters.
    pub fn updates(&self) -> UpdateSettings {
        let sgd = Sgd { momentum: self.momentum, weight_decay: self.weight_decay, ..Sgd::default() };
        let rate = match self.schedule {
            ScheduleKind::Constant => RateSchedule::Constant,
            ScheduleKind::Cosine => RateSchedule::Cosine,
            ScheduleKind::Step => RateSchedule::Step { milestones: self.milestones.clone(), gamma: self.gamma },
        };
        UpdateSettings { rate, ..UpdateSettings::new(sgd) }
    }
}

/// A row of the paper's table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Parameters relative to Joint.
    pub params: f64,
    /// By `task.metric`.
    pub cells: BTreeMap<String, Cell>,
}

/// A figure of the paper's table.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Over the paper's runs.
    pub mean: f64,
    /// Over the paper's runs.
    pub std: f64,
}

/// What the data of a run turned out to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataIdentity {
    /// How the files were drawn; `null` for the real data.
    pub origin: serde_json::Value,
    /// What the samples are beyond that; `null` where fixed checksums already say so.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub files: serde_json::Value,
}

/// One run: everything its result follows from, and nothing else.
#[derive(Clone, Debug, Serialize)]
pub struct RunConfig {
    /// Name of the experiment.
    pub experiment: String,
    /// Name of the method.
    pub method: String,
    /// Seed of initial weights, batches and noise.
    pub seed: u64,
    /// `cpu`.
    pub device: String,
    /// Name of the data set.
    pub dataset: String,
    /// The split that is evaluated at the end.
    pub report: ReportedSplit,
    /// Of the operands of convolutions and linear layers.
    #[serde(skip_serializing_if = "Precision::is_default")]
    pub precision: Precision,
    /// Steps between looks at the tasks' gradients; 0 is never, and not part of what a run is.
    #[serde(skip_serializing_if = "is_zero")]
    pub probe_every: u64,
    /// What its files turned out to be.
    pub origin: serde_json::Value,
    /// What its samples are beyond that; `null` where fixed checksums already say so, and then not part of what a run is.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub files: serde_json::Value,
    /// The data set's own settings, defaults filled in; `null` where it has none, and then not part of what a run is.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub data: serde_json::Value,
    /// Sizes of the network.
    pub network: NetworkConfig,
    /// What all methods share.
    pub training: TrainingConfig,
    /// The method's own settings, defaults filled in.
    pub settings: serde_json::Value,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl RunConfig {
    /// Name of the run's folder.
    pub fn id(&self) -> String {
        format!("{}-s{}", self.method, self.seed)
    }

    /// SHA-256 of the whole, in hexadecimal: two runs of one hash have one result.
    pub fn hash(&self) -> String {
        // Every field is a plain value, which JSON always takes.
        let text = serde_json::to_string(self).unwrap_or_default();
        Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
