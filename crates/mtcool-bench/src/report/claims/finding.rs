//! [`Finding`]: whether a claim is supported, and the rule that decides it.

use mtcool_metrics::CrossedDifference;

use crate::plan::Direction;

/// Significance of a p-value after Holm's correction.
const LEVEL: f64 = 0.05;

/// Whether a claim is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Every comparison agrees with the claim, and chance is an unlikely reason.
    Supported,
    /// A comparison contradicts the claim, and chance is an unlikely reason.
    NotSupported,
    /// Neither.
    Undecided,
}

impl Finding {
    /// All findings.
    pub const ALL: [Self; 3] = [Self::Supported, Self::NotSupported, Self::Undecided];

    /// The words in reports.
    pub fn words(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::NotSupported => "not supported",
            Self::Undecided => "undecided",
        }
    }

    /// The mark in `table.md`.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Supported => "✓",
            Self::NotSupported => "✗",
            Self::Undecided => "?",
        }
    }

    /// When it is given, for the legend.
    pub fn rule(self) -> &'static str {
        match self {
            Self::Supported => "p is below 0.05 in every comparison of the claim",
            Self::NotSupported => "in at least one comparison, the whole interval lies on the other side of the margin",
            Self::Undecided => "otherwise, and where a method has fewer than two runs or none",
        }
    }

    /// The finding of a comparison with this interval of the gain, positive where the claim's method is better, and with the
    /// corrected p-value of [`p_value`].
    pub(super) fn of(direction: Direction, margin: f64, gain: [f64; 2], adjusted_p: f64) -> Self {
        let [low, high] = gain;
        let is_contradicted = match direction {
            Direction::Better => high < margin,
            Direction::Near => low > margin || high < -margin,
        };
        match (adjusted_p < LEVEL, is_contradicted) {
            (true, _) => Self::Supported,
            (_, true) => Self::NotSupported,
            _ => Self::Undecided,
        }
    }

    /// The finding of a claim from those of its comparisons; `is_complete` says whether no comparison is missing.
    pub(super) fn of_all(findings: &[Self], is_complete: bool) -> Self {
        if findings.contains(&Self::NotSupported) {
            Self::NotSupported
        } else if is_complete && !findings.is_empty() && findings.iter().all(|finding| *finding == Self::Supported) {
            Self::Supported
        } else {
            Self::Undecided
        }
    }
}

/// The two-sided p-value of the hypothesis that the claim is wrong: for `Better`, that the difference own minus other does not
/// exceed the margin; for `Near`, that it reaches the margin in one of the two directions.
pub(super) fn p_value(difference: &CrossedDifference, direction: Direction, margin: f64, is_lower_better: bool) -> f64 {
    match direction {
        Direction::Better if is_lower_better => difference.p_at_least(-margin),
        Direction::Better => difference.p_at_most(margin),
        Direction::Near => difference.p_at_most(-margin).max(difference.p_at_least(margin)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A difference that is known to a tenth.
    fn about(estimate: f64) -> CrossedDifference {
        CrossedDifference { estimate, standard_error: 0.05, degrees_of_freedom: 20.0 }
    }

    #[test]
    fn better_means_beyond_the_margin_in_the_metrics_direction() {
        let better = Direction::Better;
        let gain = about(3.0);
        assert!(p_value(&gain, better, 1.9, false) < 1e-6);
        assert!(p_value(&gain, better, 2.99, false) > 0.8 && p_value(&gain, better, 4.0, false) == 1.0);
        assert_eq!(p_value(&gain, better, 0.0, true), 1.0, "a larger error is not better");
        assert!(p_value(&about(-3.0), better, 1.9, true) < 1e-6);
        assert_eq!(Finding::of(better, 1.9, [2.0, 4.0], 0.01), Finding::Supported);
        assert_eq!(Finding::of(better, 1.9, [2.0, 4.0], 0.06), Finding::Undecided, "Holm's correction counts");
        assert_eq!(Finding::of(better, 3.0, [2.0, 4.0], 0.9), Finding::Undecided);
        assert_eq!(Finding::of(better, 4.5, [2.0, 4.0], 1.0), Finding::NotSupported);
    }

    #[test]
    fn near_means_within_the_margin_on_both_sides() {
        let near = Direction::Near;
        assert!(p_value(&about(0.0), near, 1.5, false) < 1e-6);
        assert!(p_value(&about(0.5), near, 0.51, false) > 0.8);
        assert_eq!(p_value(&about(3.0), near, 1.5, false), 1.0, "apart is not near");
        assert_eq!(p_value(&about(-3.0), near, 1.5, false), 1.0);
        assert_eq!(Finding::of(near, 1.5, [-1.0, 1.0], 0.01), Finding::Supported);
        assert_eq!(Finding::of(near, 1.5, [2.0, 4.0], 1.0), Finding::NotSupported);
        assert_eq!(Finding::of(near, 1.5, [-4.0, -2.0], 1.0), Finding::NotSupported);
        assert_eq!(Finding::of(near, 1.5, [-1.0, 2.0], 0.3), Finding::Undecided);
    }

    #[test]
    fn one_contradiction_decides_and_support_has_to_be_complete() {
        use Finding::{NotSupported, Supported, Undecided};
        assert_eq!(Finding::of_all(&[Supported, Supported], true), Supported);
        assert_eq!(Finding::of_all(&[Supported, Supported], false), Undecided);
        assert_eq!(Finding::of_all(&[Supported, Undecided], true), Undecided);
        assert_eq!(Finding::of_all(&[Supported, NotSupported, Undecided], false), NotSupported);
        assert_eq!(Finding::of_all(&[], true), Undecided);
    }
}
