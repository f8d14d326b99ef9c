//! The tasks of a data set: their names, the network's output for each task, and the columns of the results table.

use serde::{Deserialize, Serialize};

use super::figure::FigureTask;
use super::name::Name;

/// The kind of output that a task needs from the network. It determines which decoders and losses fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskOutput {
    /// One class per image: logits `[B, classes]`, targets `[B]`.
    Class {
        /// Number of classes.
        classes: usize,
    },
    /// One class per pixel: logits `[B, classes, H, W]`, targets `[B, H, W]`.
    Segmentation {
        /// Number of classes; class 0 is the background.
        classes: usize,
    },
    /// Numbers per image: outputs and targets `[B, values]`.
    Regression {
        /// Number of values.
        values: usize,
    },
}

impl TaskOutput {
    /// Number of output channels: classes or values.
    pub fn channels(self) -> usize {
        match self {
            Self::Class { classes } | Self::Segmentation { classes } => classes,
            Self::Regression { values } => values,
        }
    }
}

/// A task of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSpec {
    /// Its name in tables, result files and TOML files (`[loss.NAME]`).
    pub name: Name,
    /// The output that the network computes for it.
    pub output: TaskOutput,
    /// The target class that every loss ignores, such as the class of pixels whose annotation is undecided.
    pub ignored: Option<u32>,
}

impl TaskSpec {
    /// A task without an ignored class.
    pub fn new(name: impl Into<Name>, output: TaskOutput) -> Self {
        Self { name: name.into(), output, ignored: None }
    }
}

/// A column of the results table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The task's name.
    pub task: Name,
    /// The name of one of the task's metrics.
    pub metric: Name,
    /// The text in the table's header.
    pub label: Name,
    /// Whether a lower figure is better, as with errors.
    pub is_lower_better: bool,
}

impl Column {
    /// The column for metric `metric` of task `task`, with the header `label`; a higher value is better.
    pub fn new(task: impl Into<Name>, metric: impl Into<Name>, label: impl Into<Name>) -> Self {
        Self { task: task.into(), metric: metric.into(), label: label.into(), is_lower_better: false }
    }

    /// The same where a lower figure is better.
    #[must_use]
    pub fn lower_is_better(self) -> Self {
        Self { is_lower_better: true, ..self }
    }
}

/// What is known about a data set from its settings alone, before a file is opened.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetSpec {
    /// Channels, height and width of the training inputs, `[C, H, W]`.
    pub input: [usize; 3],
    /// The tasks, in the order of the method's task indices.
    pub tasks: Vec<TaskSpec>,
    /// The columns of the results table.
    pub columns: Vec<Column>,
    /// What a figure shows, if the data set has a dense task.
    pub figure: Option<FigureTask>,
}

/// A fact about the data files that a reader of the results table must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caveat {
    /// A sentence with the number of files, without the final full stop.
    pub text: String,
    /// Whether the results are comparable with the paper's results in spite of it.
    pub is_comparable: bool,
}
