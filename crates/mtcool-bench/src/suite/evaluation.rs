//! The results of an evaluation: metrics, predictions and scores of single cases, and maps of dense tasks.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::name::Name;

/// The parts of a data set that are not used for training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Held out for the selection of settings.
    Validation,
    /// Held out for the final numbers; read only once, after training.
    #[default]
    Test,
}

impl Split {
    /// The name of the split in `metrics.parquet` and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }
}

/// The value of one metric of one task.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The task's name.
    pub task: Name,
    /// The metric's name, such as `accuracy`.
    pub metric: Name,
    /// The value in the metric's unit.
    pub value: f64,
}

/// The outcome for one sample of one task, kept for paired tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// The task's name.
    pub task: Name,
    /// The sample's index among the samples of the task.
    pub index: u32,
    /// The true class.
    pub target: u32,
    /// The predicted class.
    pub predicted: u32,
}

/// A metric of one case, kept for paired tests and for choosing the cases of a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseScore {
    /// The task's name.
    pub task: Name,
    /// The case's name, such as `T0012`.
    pub case: String,
    /// The metric's name, such as `cup_dice`.
    pub metric: Name,
    /// The value in the metric's unit.
    pub value: f64,
}

/// The predicted class of each pixel of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseMap {
    /// The task's name.
    pub task: Name,
    /// The case's name, such as `T0012`.
    pub case: String,
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
    /// The classes, `[H, W]`.
    pub classes: Vec<u8>,
}

/// Receives the maps of an evaluation one by one, so that they are not all in memory at the same time.
pub type MapSink<'a> = dyn FnMut(CaseMap) -> Result<()> + 'a;

/// The picture and the true classes of a case, for a figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CasePicture {
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
    /// Red, green and blue, `[H, W, 3]`.
    pub rgb: Vec<u8>,
    /// The true classes `[H, W]` of each dense task.
    pub truth: Vec<(Name, Vec<u8>)>,
}

/// The evaluation of all tasks.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// The metrics of each task.
    pub measurements: Vec<Measurement>,
    /// One prediction per sample, for tasks with one class per sample.
    pub predictions: Vec<Prediction>,
    /// The scores of each case.
    pub scores: Vec<CaseScore>,
}

impl Evaluation {
    /// Adds the value of a metric.
    pub fn measure(&mut self, task: impl Into<Name>, metric: impl Into<Name>, value: f64) {
        self.measurements.push(Measurement { task: task.into(), metric: metric.into(), value });
    }
}

/// A value that is not finite, so that no metric can be computed: training diverged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "the {what} of task `{task}` is {value}: training diverged; lower the learning rate, or look for bad values in the data"
)]
pub struct NonFinite {
    /// The task's name.
    pub task: Name,
    /// The quantity, such as `loss`.
    pub what: Name,
    /// The value: NaN or infinite.
    pub value: f64,
}

impl NonFinite {
    /// Returns `value` if it is finite.
    ///
    /// # Errors
    /// If `value` is NaN or infinite.
    pub fn check(task: impl Into<Name>, what: impl Into<Name>, value: f64) -> Result<f64, Self> {
        if value.is_finite() { Ok(value) } else { Err(Self { task: task.into(), what: what.into(), value }) }
    }
}
