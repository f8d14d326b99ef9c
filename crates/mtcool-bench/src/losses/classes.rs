//! Settings of the losses for classes: cross-entropy, soft Dice, focal loss. The types of `mtcool-ops` state the formulas.

use anyhow::Result;
use mtcool_ops::{CrossEntropy, Dice, DiceSums, Focal, Normalization};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::class_weights::ClassWeights;
use crate::suite::{ClassCounts, LossEntry, LossPart, LossSettings, Settings, SettingsError, TaskSpec};

/// `cross_entropy = { weight, class_weights, label_smoothing, normalization }`.
pub(super) fn cross_entropy() -> LossEntry {
    LossEntry { name: "cross_entropy".into(), settings: read::<CrossEntropyKeys> }
}

/// `dice = { weight, smooth, class_weights, sums }`.
pub(super) fn dice() -> LossEntry {
    LossEntry { name: "dice".into(), settings: read::<DiceKeys> }
}

/// `focal = { weight, gamma, class_weights, normalization }`.
pub(super) fn focal() -> LossEntry {
    LossEntry { name: "focal".into(), settings: read::<FocalKeys> }
}

fn read<K>(settings: &Settings, task: &TaskSpec) -> Result<Box<dyn LossSettings>, SettingsError>
where
    K: LossSettings + serde::de::DeserializeOwned + 'static,
{
    if task.output.is_numbers() {
        let message =
            format!("task `{}` predicts numbers: expected one of the losses `l1`, `l2` or `huber`", task.name);
        return Err(SettingsError::new("", message));
    }
    Ok(Box::new(settings.read::<K>()?))
}

/// The divisor of the sum over the targets; see [`Normalization`].
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DividedBy {
    /// The number of targets that are not ignored: class weights have an effect at any batch size.
    #[default]
    Targets,
    /// The sum of the targets' weights: with one target per batch, class weights cancel.
    Weights,
}

impl From<DividedBy> for Normalization {
    fn from(divided_by: DividedBy) -> Self {
        match divided_by {
            DividedBy::Targets => Self::Targets,
            DividedBy::Weights => Self::Weights,
        }
    }
}

fn one() -> f64 {
    1.0
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CrossEntropyKeys {
    #[serde(default = "one")]
    weight: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class_weights: Option<ClassWeights>,
    #[serde(default)]
    label_smoothing: f64,
    #[serde(default)]
    normalization: DividedBy,
}

impl LossSettings for CrossEntropyKeys {
    fn describe(&self) -> Value {
        json!(self)
    }

    fn part(&self, counts: &ClassCounts<'_>) -> Result<LossPart> {
        Ok(LossPart::CrossEntropy(CrossEntropy {
            weight: self.weight,
            class_weights: ClassWeights::resolve(self.class_weights.as_ref(), counts)?,
            label_smoothing: self.label_smoothing,
            normalization: self.normalization.into(),
        }))
    }
}

/// The set over which Dice takes its sums; see [`DiceSums`].
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SumsOver {
    /// All images of the batch together.
    #[default]
    Batch,
    /// Each image separately.
    Image,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiceKeys {
    #[serde(default = "one")]
    weight: f64,
    #[serde(default = "one")]
    smooth: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class_weights: Option<ClassWeights>,
    #[serde(default)]
    sums: SumsOver,
}

impl LossSettings for DiceKeys {
    fn describe(&self) -> Value {
        json!(self)
    }

    fn part(&self, counts: &ClassCounts<'_>) -> Result<LossPart> {
        Ok(LossPart::Dice(Dice {
            weight: self.weight,
            smooth: self.smooth,
            class_weights: ClassWeights::resolve(self.class_weights.as_ref(), counts)?,
            sums: match self.sums {
                SumsOver::Batch => DiceSums::Batch,
                SumsOver::Image => DiceSums::Image,
            },
        }))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FocalKeys {
    #[serde(default = "one")]
    weight: f64,
    #[serde(default = "two")]
    gamma: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class_weights: Option<ClassWeights>,
    #[serde(default)]
    normalization: DividedBy,
}

fn two() -> f64 {
    2.0
}

impl LossSettings for FocalKeys {
    fn describe(&self) -> Value {
        json!(self)
    }

    fn part(&self, counts: &ClassCounts<'_>) -> Result<LossPart> {
        Ok(LossPart::Focal(Focal {
            weight: self.weight,
            gamma: self.gamma,
            class_weights: ClassWeights::resolve(self.class_weights.as_ref(), counts)?,
            normalization: self.normalization.into(),
        }))
    }
}
