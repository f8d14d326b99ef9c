//! Counts of right and wrong two-class decisions, and the ratios that follow from them.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// Counts of right and wrong two-class decisions over samples or pixels. The counts of several images can be added up.
///
/// Where a denominator is 0, the ratio is the one that scikit-learn gives: 0 for sensitivity, specificity, precision, F1 and IoU, and
/// NaN for the accuracy of no decisions at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    /// Positive, and called positive.
    pub true_positives: u64,
    /// Negative, but called positive.
    pub false_positives: u64,
    /// Negative, and called negative.
    pub true_negatives: u64,
    /// Positive, but called negative.
    pub false_negatives: u64,
}

impl Confusion {
    /// Counts pairs (called positive, is positive).
    pub fn count(decisions: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut counts = [[0u64; 2]; 2];
        for (called, is) in decisions {
            counts[usize::from(called)][usize::from(is)] += 1;
        }
        let [[true_negatives, false_negatives], [false_positives, true_positives]] = counts;
        Self { true_positives, false_positives, true_negatives, false_negatives }
    }

    /// Number of decisions.
    pub fn total(&self) -> u64 {
        self.true_positives + self.false_positives + self.true_negatives + self.false_negatives
    }

    /// `(TP + TN) / all`; NaN without any decision.
    pub fn accuracy(&self) -> f64 {
        (self.true_positives + self.true_negatives) as f64 / self.total() as f64
    }

    /// `TP / (TP + FN)`; 0 without positives.
    pub fn sensitivity(&self) -> f64 {
        ratio(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// `TN / (TN + FP)`; 0 without negatives.
    pub fn specificity(&self) -> f64 {
        ratio(self.true_negatives, self.true_negatives + self.false_positives)
    }

    /// `TP / (TP + FP)`; 0 if nothing was called positive.
    pub fn precision(&self) -> f64 {
        ratio(self.true_positives, self.true_positives + self.false_positives)
    }

    /// `2 TP / (2 TP + FP + FN)`; 0 if nothing is positive and nothing was called so.
    pub fn f1(&self) -> f64 {
        ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)
    }

    /// Intersection over union, `TP / (TP + FP + FN)`; 0 if nothing is positive and nothing was called so.
    pub fn iou(&self) -> f64 {
        ratio(self.true_positives, self.true_positives + self.false_positives + self.false_negatives)
    }

    /// Mean of sensitivity and specificity.
    pub fn balanced_accuracy(&self) -> f64 {
        (self.sensitivity() + self.specificity()) / 2.0
    }

    /// Whether nothing is positive and nothing was called so.
    pub fn is_empty(&self) -> bool {
        self.true_positives + self.false_positives + self.false_negatives == 0
    }
}

impl AddAssign for Confusion {
    fn add_assign(&mut self, other: Self) {
        self.true_positives += other.true_positives;
        self.false_positives += other.false_positives;
        self.true_negatives += other.true_negatives;
        self.false_negatives += other.false_negatives;
    }
}

impl Add for Confusion {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl Sum for Confusion {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
