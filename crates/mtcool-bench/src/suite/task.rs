//! The tasks of a data set: their names, the network's output for each task, and the columns of the results table.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::digits::Digits;
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
    /// Several properties per image, each of which it has or has not: logits `[B, 2, labels]`, targets `[B, labels]` of 0 and 1. The
    /// softmax over two logits is the sigmoid of their difference, so that every loss over classes is a binary loss of each
    /// label.
    Multilabel {
        /// Number of properties.
        labels: usize,
    },
    /// Numbers per image: outputs and targets `[B, values]`.
    Regression {
        /// Number of values.
        values: usize,
    },
}

impl TaskOutput {
    /// Number of output channels, the second dimension of the output: classes or values.
    pub fn channels(self) -> usize {
        match self {
            Self::Class { classes } | Self::Segmentation { classes } => classes,
            Self::Multilabel { .. } => 2,
            Self::Regression { values } => values,
        }
    }

    /// Whether the output consists of numbers instead of logits of classes.
    pub fn is_numbers(self) -> bool {
        matches!(self, Self::Regression { .. })
    }
}

/// A task of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSpec {
    /// Its name in tables, result files and TOML files (`[loss.NAME]`).
    pub name: Name,
    /// The output that the network computes for it.
    pub output: TaskOutput,
    /// The target class that every loss ignores, such as the class of pixels whose annotation is undecided, or a missing label.
    /// Missing numbers are not a number (NaN), and every loss of numbers ignores them.
    pub ignored: Option<u32>,
    /// The losses of an experiment that has no table `[loss.NAME]`: each name with its settings. If empty, plain cross-entropy or
    /// the squared error.
    pub usual_losses: Vec<(Name, Value)>,
}

impl TaskSpec {
    /// A task without an ignored class and with the usual loss of its kind.
    pub fn new(name: impl Into<Name>, output: TaskOutput) -> Self {
        Self { name: name.into(), output, ignored: None, usual_losses: Vec::new() }
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
    /// Whether the figures are in per cent, as accuracies and Dice; otherwise they are in a unit of their own, such as the error of a
    /// number, and small ones are shown with more decimals.
    pub is_percent: bool,
}

impl Column {
    /// The column for metric `metric` of task `task`, with the header `label`; a higher value is better, and values are in per cent.
    pub fn new(task: impl Into<Name>, metric: impl Into<Name>, label: impl Into<Name>) -> Self {
        Self { task: task.into(), metric: metric.into(), label: label.into(), is_lower_better: false, is_percent: true }
    }

    /// `task.metric`, the name of the column in experiments and messages.
    pub fn key(&self) -> String {
        format!("{}.{}", self.task, self.metric)
    }

    /// The same where a lower figure is better.
    #[must_use]
    pub fn lower_is_better(self) -> Self {
        Self { is_lower_better: true, ..self }
    }

    /// With how many decimals this column shows these figures.
    pub fn digits(&self, figures: impl IntoIterator<Item = f64>) -> Digits {
        Digits::of(self.is_percent, figures)
    }

    /// The same for figures that are not in per cent.
    #[must_use]
    pub fn in_own_unit(self) -> Self {
        Self { is_percent: false, ..self }
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
    /// Whether there is a test part. Without one, tables show the validation part.
    pub has_test: bool,
}

/// A fact about the data files that a reader of the results table must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caveat {
    /// A sentence with the number of files, without the final full stop.
    pub text: String,
    /// Whether the results are comparable with the paper's results in spite of it.
    pub is_comparable: bool,
}
