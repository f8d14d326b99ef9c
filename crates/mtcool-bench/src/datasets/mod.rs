//! The registry of data sets: what an experiment's `dataset` key and the `data` commands may name.

mod hrf_av;
mod mnist;
mod on_card;
mod refuge;
mod unet;

use std::path::{Path, PathBuf};

use anyhow::Result;
use candle_core::Device;
use figment::Figment;
use mtcool_core::{Batch, BatchSource, Parameters, Problem};
use mtcool_data::Sample;
use mtcool_ops::Precision;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{ConfigError, DataConfig, DataSource, NetworkConfig, SyntheticConfig};
use crate::methods::Sharing;
use crate::predict::{Predictor, StoredModel};
use crate::report::figure::FigureStyle;

/// What a finished run's model says of photographs of the user's own.
pub type PredictorBuilder = fn(StoredModel) -> Result<Box<dyn Predictor>>;

/// A data set as the program knows it.
#[derive(Clone, Copy)]
pub struct DatasetEntry {
    /// In TOML and flags; also its folder below `data/`.
    pub name: &'static str,
    /// Downloads into a folder, or checks what is there.
    pub fetch: fn(&Path) -> Result<()>,
    /// Draws a synthetic set into a folder.
    pub synthesize: fn(&Path, SyntheticConfig) -> Result<()>,
    /// What `data synth` draws unless told otherwise.
    pub synthetic: SyntheticConfig,
    /// Checks a folder; the answer says what it holds.
    pub verify: fn(&Path) -> Result<String>,
    /// Columns of its table.
    pub columns: &'static [Column],
    /// Checks its own settings, the table `data.settings`, and fills in defaults: part of a run's identity.
    pub settings: fn(&Figment) -> Result<Value, Box<figment::Error>>,
    /// Whether its suite has a figure.
    pub has_figure: bool,
    /// For photographs of the user's own, if the set has photographs.
    pub predictor: Option<PredictorBuilder>,
    /// Opens a folder with settings so checked.
    pub open: fn(&Path, &Value) -> Result<Box<dyn Suite>>,
}

/// [`DatasetEntry::settings`] for settings of type `S`, whose defaults are those of its fields.
pub(crate) fn settings<S: DeserializeOwned + Serialize>(table: &Figment) -> Result<Value, Box<figment::Error>> {
    let settings: S = table.extract().map_err(Box::new)?;
    serde_json::to_value(settings).map_err(|error| Box::new(figment::Error::from(error.to_string())))
}

/// Of a data set that has no settings.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct NoSettings {}

/// Every data set, one line each.
const DATASETS: [DatasetEntry; 3] = [mnist::ENTRY, refuge::ENTRY, hrf_av::ENTRY];

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
    pub fn prepare(&self, config: &DataConfig, settings: &Value) -> Result<Box<dyn Suite>> {
        let folder = self.folder(config);
        match config.source {
            DataSource::Fetch => (self.fetch)(&folder)?,
            DataSource::Synth => (self.synthesize)(&folder, config.synthetic)?,
            DataSource::Folder => {}
        }
        (self.open)(&folder, settings)
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

/// A metric of one case, kept for paired tests and for choosing the cases of a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseScore {
    /// The task's name.
    pub task: &'static str,
    /// Such as `T0012`.
    pub case: String,
    /// Such as `cup_dice`.
    pub metric: &'static str,
    /// In the metric's unit.
    pub value: f64,
}

/// The class predicted for each pixel of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseMap {
    /// The task's name.
    pub task: &'static str,
    /// Such as `T0012`.
    pub case: String,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `[H, W]`.
    pub classes: Vec<u8>,
}

/// Takes the maps of an evaluation one at a time, so that they need not all be in memory.
pub type MapSink<'a> = dyn FnMut(CaseMap) -> Result<()> + 'a;

/// What a figure shows of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FigureTask {
    /// The dense task whose maps are drawn.
    pub task: &'static str,
    /// Its [`CaseScore`]s that rank the cases by their mean, and what they are called below a panel.
    pub metrics: [(&'static str, &'static str); 2],
    /// How.
    pub style: FigureStyle,
}

/// A case as a figure shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CasePicture {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Red, green and blue, `[H, W, 3]`.
    pub rgb: Vec<u8>,
    /// The true classes `[H, W]` of each dense task.
    pub truth: Vec<(&'static str, Vec<u8>)>,
}

/// An evaluation of all tasks.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// Numbers, task by task.
    pub measurements: Vec<Measurement>,
    /// Sample by sample, of tasks with one class a sample.
    pub predictions: Vec<Prediction>,
    /// Case by case.
    pub scores: Vec<CaseScore>,
}

/// A network's answer that nothing can be measured on: its training diverged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "the {what} of task `{task}` is {value}: training diverged; lower the learning rate, or look for bad values in the data"
)]
pub struct NonFinite {
    /// The task's name.
    pub task: &'static str,
    /// Such as `loss`.
    pub what: &'static str,
    /// NaN or an infinity.
    pub value: f64,
}

impl NonFinite {
    /// `value`, if it is finite.
    ///
    /// # Errors
    /// If it is not.
    pub fn check(task: &'static str, what: &'static str, value: f64) -> Result<f64, Self> {
        if value.is_finite() { Ok(value) } else { Err(Self { task, what, value }) }
    }
}

/// What a reader of a table must know about the files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caveat {
    /// A sentence, with the number of files.
    pub text: String,
    /// Whether figures may be set against the paper's all the same.
    pub is_comparable: bool,
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

    /// What the samples are beyond their origin: a digest of the files' content keys; `null` where fixed checksums already
    /// say so.
    fn identity(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// How files that are not synthetic differ from the published ones, for whoever reads the table.
    fn caveats(&self) -> Vec<Caveat> {
        Vec::new()
    }

    /// Training samples of task `task` in an epoch.
    fn samples(&self, task: usize) -> usize;

    /// The training batches of all tasks on `device`, entered at batch `position` of each: a function of the arguments alone.
    ///
    /// # Errors
    /// If the batch size does not fit the samples.
    fn batches(&self, device: &Device, batch_size: usize, seed: u64, position: u64) -> Result<Box<dyn BatchSource>>;

    /// The network, with its operands in `precision`, and the losses.
    ///
    /// # Errors
    /// If the sizes do not fit the tasks.
    fn problem(&self, network: &NetworkConfig, precision: Precision, sharing: Sharing) -> Result<Problem>;

    /// Metrics of all tasks on a split; `maps`, if given, gets what dense tasks predict.
    ///
    /// # Errors
    /// [`NonFinite`] if there is nothing to measure; or if a forward pass fails.
    fn evaluate(
        &self,
        problem: &Problem,
        parameters: &Parameters,
        split: Split,
        maps: Option<&mut MapSink<'_>>,
    ) -> Result<Evaluation>;

    /// What a figure shows of this data set, if it has a dense task.
    fn figure(&self) -> Option<FigureTask> {
        None
    }

    /// The case that [`CaseMap`]s and [`CaseScore`]s call `case`; `None` if there is none, or its tasks are not dense.
    ///
    /// # Errors
    /// If it cannot be read.
    fn picture(&self, case: &str) -> Result<Option<CasePicture>> {
        let _ = case;
        Ok(None)
    }
}

/// A loader's sample as training reads it.
pub(crate) fn batch(sample: Sample) -> Batch {
    Batch { input: sample.inputs, target: sample.targets }
}
