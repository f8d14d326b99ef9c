//! The figures that results report, by name.

/// A metric that results report.
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
    /// All metrics.
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
