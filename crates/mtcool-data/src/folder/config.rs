//! The settings of a folder: the table `data.settings` of an experiment.

use std::path::PathBuf;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::spacing::Spacing;
use super::task::{TaskConfig, TaskKind};
use crate::augment::Augmentation;

/// Where pictures and labels are, and how they become samples. Paths are relative to the folder's root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderConfig {
    /// The folder of all files; a program may also name it in another place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
    /// The file of a case's picture, for example `images/{case}.jpg`. `{case}` is the case's name, `{column}` the cell of another
    /// column; an extension `.*` stands for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<String>,
    /// Instead of `images`: the column that holds the file of a case's picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_column: Option<String>,
    /// The table whose rows are cases: `.csv`, `.tsv`, `.xlsx`, `.xls`, `.ods` or `.parquet`. Without it, every picture that
    /// `images` matches is a case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<PathBuf>,
    /// The sheet of a workbook; the first one by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// The column with the names of the cases. The extension of a picture's file name is left out of a name.
    #[serde(default = "case_column")]
    pub case: String,
    /// The column of the patient, eye or hospital: cases of one group never lie in different parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Channels of the network's input, 1 to 16. Grey pictures and pictures of red, green and blue become each other.
    #[serde(default = "three")]
    pub channels: usize,
    /// Rows and columns of the network's input.
    pub size: [usize; 2],
    /// How pictures get that size.
    #[serde(default)]
    pub fit: Fit,
    /// The factor by which the sides of pictures and masks are multiplied as they are read, for [`Fit::Crop`] and [`Fit::Patches`].
    #[serde(default = "unscaled", skip_serializing_if = "is_unscaled")]
    pub scale: f64,
    /// Number of patches per training picture and epoch, for [`Fit::Patches`].
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub patches_per_image: usize,
    /// For [`Fit::Patches`], the side in pixels of the tiles that cover whole pictures: the longer side of a patch by default, at
    /// least 1024. A picture that is not larger than a tile is seen at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tile: Option<usize>,
    /// Number of pixels by which neighbouring tiles overlap, at most half of a tile's side; an eighth of it by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<usize>,
    /// Number of pixels at each border of a tile whose predictions are not used, less than half of the overlap; a quarter of it by
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<usize>,
    /// Height and width of a pixel of the pictures' files, such as `[0.5, 0.5]` in millimetres, or the names of the two columns
    /// that hold them. Distances are measured in this unit; without it, in pixels of the network's input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing: Option<Spacing>,
    /// How training pictures are changed at random; what is not named is not changed.
    #[serde(default = "unchanged", deserialize_with = "changes")]
    pub augmentation: Augmentation,
    /// A classification task whose classes every training batch has equally often; cases of rare classes then come several times per
    /// epoch, changed at random each time. Cases without a label of this task count as one class more. By default every case
    /// comes once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balanced: Option<String>,
    /// Which cases are for training, for selection and for the test.
    #[serde(default)]
    pub split: SplitConfig,
    /// The tasks, at least one.
    #[serde(default)]
    pub tasks: Vec<TaskConfig>,
}

fn case_column() -> String {
    "case".into()
}

fn three() -> usize {
    3
}

fn one() -> usize {
    1
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

fn unscaled() -> f64 {
    1.0
}

fn is_unscaled(scale: &f64) -> bool {
    *scale == unscaled()
}

fn unchanged() -> Augmentation {
    Augmentation::NONE
}

/// Reads an augmentation whose missing keys change nothing. Its own defaults suit photographs of the retina, which have no top
/// and no bottom, unlike most pictures.
fn changes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Augmentation, D::Error> {
    let given = Map::<String, Value>::deserialize(deserializer)?;
    let mut whole = serde_json::to_value(Augmentation::NONE).map_err(D::Error::custom)?;
    if let Some(whole) = whole.as_object_mut() {
        whole.extend(given);
    }
    serde_json::from_value(whole).map_err(D::Error::custom)
}

/// How pictures get the size of the network's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The whole picture is scaled to the size, each side by itself.
    #[default]
    Resize,
    /// The middle of the picture at its own resolution; beyond its edges, the input is black and its labels are ignored.
    Crop,
    /// For tasks with masks, training takes patches at random places of the picture at its own resolution, and an evaluation covers
    /// the whole picture by tiles. Tasks with one answer per picture see the whole picture, scaled to the size.
    Patches,
}

impl FolderConfig {
    /// The beginning of messages about cells of the table.
    pub(super) fn table_place(&self) -> String {
        self.table.as_ref().map_or_else(String::new, |table| format!("`{}`: ", table.display()))
    }

    /// The index of the task by whose classes drawn parts are balanced: the one that `split.stratify` names, or the first
    /// classification task; `None` if `split.stratify` is a column or `"none"`, or if no task is a classification.
    pub fn stratified(&self) -> Option<usize> {
        match self.split.stratify.as_deref() {
            None => self.tasks.iter().position(|task| matches!(task.kind, TaskKind::Classification { .. })),
            Some(name) => self.tasks.iter().position(|task| task.name == name),
        }
    }

    /// Height and width of a picture or mask of `size` after [`Self::scale`].
    pub fn scaled(&self, size: [usize; 2]) -> [usize; 2] {
        match is_unscaled(&self.scale) {
            true => size,
            false => size.map(|side| ((side as f64 * self.scale).round() as usize).max(1)),
        }
    }
}

/// Which cases are for training, for selection and for the test: by a column, or drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitConfig {
    /// The column that names each case's part: `train`, `validation` or `test`. If no case is for validation, a validation part
    /// is drawn from the training part. An empty cell leaves its case out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The column, or the classification task, whose classes a drawn part has in the same proportions; by default the first
    /// classification task. `"none"` draws without regard to classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stratify: Option<String>,
    /// The fraction of the cases that do not belong to the test, which is drawn for validation.
    pub validation: f64,
    /// The fraction of all cases that is drawn for the test, or `"none"` for no test part at all.
    pub test: TestPart,
    /// Cross-validation: the cases are divided into this number of folds, and fold number `fold` is the test part, or, without a
    /// test part, the validation part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<usize>,
    /// The fold that is held out, from 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub fold: usize,
    /// The seed of everything that is drawn.
    pub seed: u64,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self {
            column: None,
            stratify: None,
            validation: 0.15,
            test: TestPart::Fraction(0.2),
            folds: None,
            fold: 0,
            seed: 0,
        }
    }
}

/// Whether there is a test part, and how large a drawn one is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "TestKey", into = "TestKey")]
pub enum TestPart {
    /// The word `"none"`: no test part, so that only the validation part is measured.
    None,
    /// A fraction of all cases, if the part is drawn.
    Fraction(f64),
}

/// [`TestPart`] as it is written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum TestKey {
    Fraction(f64),
    Word(String),
}

impl TryFrom<TestKey> for TestPart {
    type Error = String;

    fn try_from(key: TestKey) -> Result<Self, String> {
        match key {
            TestKey::Fraction(fraction) => Ok(Self::Fraction(fraction)),
            TestKey::Word(word) if word == "none" => Ok(Self::None),
            TestKey::Word(word) => Err(format!("`test` is \"{word}\": expected a fraction such as 0.2, or \"none\"")),
        }
    }
}

impl From<TestPart> for TestKey {
    fn from(part: TestPart) -> Self {
        match part {
            TestPart::None => Self::Word("none".into()),
            TestPart::Fraction(fraction) => Self::Fraction(fraction),
        }
    }
}
