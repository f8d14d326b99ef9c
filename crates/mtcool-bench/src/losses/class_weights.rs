//! Class weights: a list, or computed from the class frequencies in the training part.

use anyhow::Result;
use mtcool_ops::{WeightRule, class_weights};
use serde::{Deserialize, Serialize};

use crate::suite::ClassCounts;

/// The value of the key `class_weights`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a list of numbers, `\"inverse_frequency\"` or `\"inverse_sqrt_frequency\"`")]
pub(super) enum ClassWeights {
    /// The weights themselves, one number per class.
    List(Vec<f64>),
    /// A rule that computes the weights from the frequencies of the classes among the training targets.
    Rule(FrequencyRule),
}

/// [`WeightRule`] in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FrequencyRule {
    /// Weights proportional to 1 / count.
    InverseFrequency,
    /// Weights proportional to 1 / sqrt(count).
    InverseSqrtFrequency,
}

impl ClassWeights {
    /// The weights, one number per class; `None` if none are set.
    ///
    /// # Errors
    /// If the classes cannot be counted.
    pub(super) fn resolve(weights: Option<&Self>, counts: &ClassCounts<'_>) -> Result<Option<Vec<f64>>> {
        let rule = match weights {
            None => return Ok(None),
            Some(Self::List(weights)) => return Ok(Some(weights.clone())),
            Some(Self::Rule(FrequencyRule::InverseFrequency)) => WeightRule::InverseFrequency,
            Some(Self::Rule(FrequencyRule::InverseSqrtFrequency)) => WeightRule::InverseSqrtFrequency,
        };
        Ok(Some(class_weights(&counts()?, rule)))
    }
}
