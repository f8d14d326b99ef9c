//! [`Verdict`]: whether a result of the paper is reproduced, and the rule that decides it.

use anyhow::Result;
use mtcool_metrics::{MeanDifference, Summary};

use super::interval::CONFIDENCE;
use crate::plan::Cell;

/// Whether a result of the paper is reproduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The means are close to each other, and further runs are unlikely to change that.
    Reproduced,
    /// The means are apart, and further runs are unlikely to change that.
    NotReproduced,
    /// Other data or settings, too few runs, or too much variation between runs.
    CannotBeCompared,
}

impl Verdict {
    /// All verdicts.
    pub const ALL: [Self; 3] = [Self::Reproduced, Self::NotReproduced, Self::CannotBeCompared];

    /// The words in `table.csv`, `table.parquet` and the legend.
    pub fn words(self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::NotReproduced => "not reproduced",
            Self::CannotBeCompared => "cannot be compared",
        }
    }

    /// The mark in `table.md`.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Reproduced => "✓",
            Self::NotReproduced => "✗",
            Self::CannotBeCompared => "?",
        }
    }

    /// When it is given, for the legend.
    pub fn rule(self) -> &'static str {
        match self {
            Self::Reproduced => {
                "the means differ by at most the tolerance, and the interval of their difference lies within twice the tolerance"
            }
            Self::NotReproduced => {
                "the means differ by more than the tolerance, and the interval of their difference does not contain 0"
            }
            Self::CannotBeCompared => {
                "fewer than two runs, settings other than the profile's, or runs that vary too much for the other two"
            }
        }
    }

    /// Judges the difference of our mean from the paper's mean; `tolerance` is in the unit of the means.
    pub fn of(difference: &MeanDifference, tolerance: f64) -> Self {
        let is_close = difference.estimate.abs() <= tolerance;
        let furthest = difference.low.abs().max(difference.high.abs());
        if is_close && furthest <= 2.0 * tolerance {
            Self::Reproduced
        } else if difference.estimate.abs() > tolerance && (difference.low > 0.0 || difference.high < 0.0) {
            Self::NotReproduced
        } else {
            Self::CannotBeCompared
        }
    }
}

/// The difference of our mean from the paper's mean over `paper_runs` runs, with its interval; `None` if we have fewer than two
/// runs. The interval is Welch's; if the paper gives no standard deviation, its mean is taken as exactly known.
///
/// # Errors
/// If a number is not finite, or if the paper's cell has a standard deviation of fewer than two runs.
pub(super) fn difference(ours: &Summary, paper: &Cell, paper_runs: usize) -> Result<Option<MeanDifference>> {
    if ours.count < 2 {
        return Ok(None);
    }
    let difference = match paper.std {
        Some(std) => {
            let paper = Summary { mean: paper.mean, std: Some(std), count: paper_runs };
            MeanDifference::welch(ours, &paper, CONFIDENCE)
        }
        None => MeanDifference::from_constant(ours, paper.mean, CONFIDENCE),
    };
    Ok(Some(difference?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(mean: f64, std: f64, count: usize) -> Summary {
        Summary { mean, std: Some(std), count }
    }

    #[test]
    fn the_rule_is_applied_to_the_interval() {
        let verdict = |estimate: f64, half: f64| {
            let (low, high) = (estimate - half, estimate + half);
            let difference = MeanDifference { estimate, low, high, degrees_of_freedom: 4.0 };
            let mirrored = MeanDifference { estimate: -estimate, low: -high, high: -low, ..difference };
            let verdict = Verdict::of(&difference, 1.0);
            assert_eq!(Verdict::of(&mirrored, 1.0), verdict, "the sign of the difference must not matter");
            verdict
        };
        assert_eq!(verdict(0.0, 0.1), Verdict::Reproduced);
        assert_eq!(verdict(1.0, 1.0), Verdict::Reproduced, "both bounds are included");
        assert_eq!(verdict(0.5, 0.1), Verdict::Reproduced, "a small difference that is no chance");
        assert_eq!(verdict(0.5, 1.6), Verdict::CannotBeCompared, "close, but by chance perhaps");
        assert_eq!(verdict(1.5, 0.5), Verdict::NotReproduced);
        assert_eq!(verdict(1.5, 1.5), Verdict::CannotBeCompared, "apart, but by chance perhaps: 0 is an end");
        assert_eq!(verdict(50.0, 80.0), Verdict::CannotBeCompared);
        assert_eq!(verdict(f64::NAN, 1.0), Verdict::CannotBeCompared);
    }

    #[test]
    fn the_interval_is_welchs_or_that_of_one_sample() {
        let cell = |std| Cell { mean: 50.0, std };
        // The variances of the means are 0.5 and 0.5, so that the standard error is 1 with 2 degrees of freedom: t = 4.30265.
        let with = difference(&summary(53.0, 1.0, 2), &cell(Some(1.0)), 2).unwrap().unwrap();
        assert!((with.low - (3.0 - 4.30265)).abs() < 1e-5 && (with.high - (3.0 + 4.30265)).abs() < 1e-5, "{with:?}");
        // One sample: standard error 1 / sqrt(2) with 1 degree of freedom: t = 12.7062.
        let without = difference(&summary(53.0, 1.0, 2), &cell(None), 2).unwrap().unwrap();
        let half = 12.7062 / 2f64.sqrt();
        assert!((without.low - (3.0 - half)).abs() < 1e-4 && (without.high - (3.0 + half)).abs() < 1e-4, "{without:?}");
        let lone = Summary { mean: 53.0, std: None, count: 1 };
        assert_eq!(difference(&lone, &cell(Some(1.0)), 3).unwrap(), None);
        assert!(difference(&summary(53.0, 1.0, 2), &cell(Some(1.0)), 1).is_err(), "a spread of one run");
    }

    #[test]
    fn words_and_marks_are_told_apart() {
        let [a, b, c] = Verdict::ALL;
        assert!(a.words() != b.words() && b.words() != c.words() && a.words() != c.words());
        assert!(a.mark() != b.mark() && b.mark() != c.mark() && a.mark() != c.mark());
    }
}
