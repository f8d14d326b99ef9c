//! What is measured on predictions: classification, segmentation, and whether paired results differ.
//!
//! Nothing here reads files or knows a data set. Where a quantity is undefined the challenge's evaluation kit or scikit-learn
//! decides, each item says how: a NaN that is documented, never a panic.

mod classification;
mod confusion;
mod paired;
mod segmentation;

pub use classification::BinaryScores;
pub use confusion::Confusion;
pub use paired::{PairedTTest, WilcoxonTest};
pub use segmentation::{ClassMap, ClassSet, MaskCoding, Region, cup_to_disc_error, cup_to_disc_ratio, dice};

/// A figure of a results row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Share of right answers.
    Accuracy,
    /// True positives among positives.
    Sensitivity,
    /// True negatives among negatives.
    Specificity,
    /// Harmonic mean of precision and sensitivity.
    F1,
    /// Area under the receiver operating characteristic.
    Auroc,
    /// Sensitivity where specificity is 0.85.
    SensitivityAtSpecificity85,
    /// Mean Dice over images, optic disc with its cup.
    DiceDisc,
    /// Mean Dice over images, optic cup.
    DiceCup,
    /// Mean absolute error of the vertical cup-to-disc ratio.
    CupToDiscError,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Accuracy,
        Self::Sensitivity,
        Self::Specificity,
        Self::F1,
        Self::Auroc,
        Self::SensitivityAtSpecificity85,
        Self::DiceDisc,
        Self::DiceCup,
        Self::CupToDiscError,
    ];

    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Sensitivity => "sensitivity",
            Self::Specificity => "specificity",
            Self::F1 => "f1",
            Self::Auroc => "auroc",
            Self::SensitivityAtSpecificity85 => "sensitivity_at_specificity_0_85",
            Self::DiceDisc => "dice_disc",
            Self::DiceCup => "dice_cup",
            Self::CupToDiscError => "cup_to_disc_error",
        }
    }

    /// Whether a larger figure is a better one.
    pub fn larger_is_better(self) -> bool {
        self != Self::CupToDiscError
    }
}

/// Input that no metric is defined on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// Two inputs that belong together differ in length.
    #[error("{got} {what}: expected {expected}, one for each of the other input's")]
    Length {
        /// What is too few or too many.
        what: &'static str,
        /// Length of the other input.
        expected: usize,
        /// Its own length.
        got: usize,
    },

    /// A value that cannot be ranked or added up.
    #[error("{what} number {index} is {value}: expected a finite number")]
    NotFinite {
        /// Which input.
        what: &'static str,
        /// Where in it, from 0.
        index: usize,
        /// NaN or infinite.
        value: f64,
    },

    /// Fewer or more values than the method is defined or made for.
    #[error("{got} {what}: expected {expected}")]
    Count {
        /// What there are too few or too many of.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// The valid range, in words.
        expected: &'static str,
    },
}

/// Refuses inputs of different lengths.
fn same_length(what: &'static str, got: usize, expected: usize) -> Result<(), MetricError> {
    if got == expected { Ok(()) } else { Err(MetricError::Length { what, expected, got }) }
}

/// Refuses the first value that is NaN or infinite.
fn all_finite(what: &'static str, values: &[f64]) -> Result<(), MetricError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(MetricError::NotFinite { what, index, value: values[index] }),
        None => Ok(()),
    }
}
