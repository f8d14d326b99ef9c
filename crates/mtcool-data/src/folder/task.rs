//! The settings of one task of a folder.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::value::{CellText, MaskValue};

/// A task: what is to be predicted, and where its labels are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskConfig {
    /// Its name in tables and result files.
    pub name: String,
    /// The file of this task's pictures, if they are not those of the other tasks; as `images` of the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<String>,
    /// Instead of `images`: the column that holds the file of this task's picture. A case with an empty cell has no label of
    /// this task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_column: Option<String>,
    /// The share of the labels of the training part that is kept, above 0; the others are removed at random, to see what a task
    /// with fewer labels costs. The other parts keep all labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<f64>,
    /// What is to be predicted.
    #[serde(flatten)]
    pub kind: TaskKind,
}

/// What is to be predicted, with the settings of that kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum TaskKind {
    /// The class of every pixel.
    Segmentation {
        /// The file of a case's mask, as a pattern such as `masks/{case}.png`. A case without this file has no label.
        mask: String,
        /// Grey values or colours of the mask, and the class of each; several values may belong to one class. The class named
        /// `background` comes first, the others follow in the order of their smallest values.
        classes: BTreeMap<MaskValue, String>,
        /// The classes in another order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        order: Vec<String>,
        /// Values of undecided pixels, which no loss and no metric takes into account.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ignored: Vec<MaskValue>,
        /// How far a pixel may be from a listed value in each channel, for masks that were saved with losses; it takes the
        /// nearest one.
        #[serde(default, skip_serializing_if = "is_zero")]
        tolerance: u16,
        /// Unions of classes that are measured besides the classes, for example `disc = ["rim", "cup"]`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        regions: BTreeMap<String, Vec<String>>,
    },
    /// One class of the whole picture.
    Classification {
        /// The column of the class.
        column: String,
        /// The contents of the cells, in the order of the classes. Of two classes, the second is the positive one.
        classes: Vec<CellText>,
        /// Names of the classes for tables, in the same order; the contents of the cells by default.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        names: Vec<String>,
    },
    /// Several properties, each of which the picture has or has not.
    Multilabel {
        /// One column per property with 1, yes or true, or 0, no or false.
        columns: Vec<String>,
        /// Names of the properties for tables, in the same order; the columns by default.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        names: Vec<String>,
    },
    /// A number.
    Regression {
        /// The column of the number.
        column: String,
        /// The number's unit, for tables.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<String>,
        /// The smallest and the largest number that can be right.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        range: Option<[f64; 2]>,
    },
}

fn is_zero(number: &u16) -> bool {
    *number == 0
}

impl TaskKind {
    /// The kind's name in settings.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Segmentation { .. } => "segmentation",
            Self::Classification { .. } => "classification",
            Self::Multilabel { .. } => "multilabel",
            Self::Regression { .. } => "regression",
        }
    }

    /// The names of the classes or properties, in the order of the network's outputs; the column of a regression.
    pub fn outputs(&self) -> Vec<String> {
        match self {
            Self::Segmentation { order, .. } if !order.is_empty() => order.clone(),
            Self::Segmentation { classes, .. } => {
                let mut names: Vec<String> = Vec::new();
                for name in classes.values().filter(|name| *name == BACKGROUND).chain(classes.values()) {
                    if !names.contains(name) {
                        names.push(name.clone());
                    }
                }
                names
            }
            Self::Classification { classes, names, .. } if names.is_empty() => {
                classes.iter().map(|class| class.to_string()).collect()
            }
            Self::Multilabel { columns, names } if names.is_empty() => columns.clone(),
            Self::Classification { names, .. } | Self::Multilabel { names, .. } => names.clone(),
            Self::Regression { column, .. } => vec![column.clone()],
        }
    }

    /// The regions of a segmentation that are measured besides its classes: name, and the indices of the classes in it.
    pub fn regions(&self) -> Vec<(String, Vec<u8>)> {
        let Self::Segmentation { regions, .. } = self else { return Vec::new() };
        let outputs = self.outputs();
        let index = |class: &String| outputs.iter().position(|output| output == class).map(|index| index as u8);
        regions.iter().map(|(name, classes)| (name.clone(), classes.iter().filter_map(index).collect())).collect()
    }

    /// The columns of the table from which labels are read.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::Segmentation { .. } => Vec::new(),
            Self::Classification { column, .. } | Self::Regression { column, .. } => vec![column],
            Self::Multilabel { columns, .. } => columns.iter().map(String::as_str).collect(),
        }
    }
}

/// The class with this name is class 0.
const BACKGROUND: &str = "background";
