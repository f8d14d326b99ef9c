//! Tests of whether two methods differ on the same cases: the paired t-test and the exact Wilcoxon signed-rank test.

use crate::error::{MetricError, all_finite, same_length};
use crate::rounding::{Rounded, doubled_ranks};
use crate::student::two_sided;

/// The paired t-test of `b - a`, two-sided (Student 1908).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedTTest {
    /// Mean of `b - a`.
    pub mean_difference: f64,
    /// `mean / (s / sqrt(n))`, where `s` is the sample standard deviation of the differences (divisor n - 1). If all differences
    /// are equal, it is infinite with their sign, or NaN if they are 0.
    pub t: f64,
    /// n - 1.
    pub degrees_of_freedom: usize,
    /// Probability of a `|t|` at least as large if the differences are normal around 0; NaN with `t`. Relative error below 1e-10
    /// up to a thousand degrees of freedom.
    pub p: f64,
}

impl PairedTTest {
    /// Of pairs `(a[k], b[k])`.
    ///
    /// # Errors
    /// If the lengths differ, a value is not finite, or there are fewer than two pairs.
    pub fn new(a: &[f64], b: &[f64]) -> Result<Self, MetricError> {
        let differences = differences(a, b)?;
        let n = differences.len();
        if n < 2 {
            return Err(MetricError::Count { what: "pairs", got: n, expected: "at least 2" });
        }
        let mean_difference = differences.iter().sum::<f64>() / n as f64;
        let squares: f64 = differences.iter().map(|difference| (difference - mean_difference).powi(2)).sum();
        let t = mean_difference / (squares / (n - 1) as f64 / n as f64).sqrt();
        Ok(Self { mean_difference, t, degrees_of_freedom: n - 1, p: two_sided(t, (n - 1) as f64) })
    }
}

/// The Wilcoxon signed-rank test of `b - a`, two-sided, by its exact distribution (Wilcoxon 1945).
///
/// Zero differences are left out. Equal magnitudes share the mean of their ranks, and the distribution is that of these ranks
/// under random signs, so it is exact with ties as well. Differences are zero, or equal in magnitude, if they are so within the
/// rounding errors of the values ([`ROUNDING`](crate::ROUNDING)): means over seeds of 100, 0, 0 and of 0, 100, 0 tie although
/// their last digits may differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WilcoxonTest {
    /// The smaller of the rank sums of positive and of negative differences.
    pub w: f64,
    /// Pairs that differ.
    pub pairs: usize,
    /// Probability of a `w` at most as large if every sign is equally likely; 1 if no pair differs.
    pub p: f64,
}

impl WilcoxonTest {
    /// The largest number of differing pairs: the computing time grows with its third power.
    pub const MOST_PAIRS: usize = 2000;

    /// Of pairs `(a[k], b[k])`.
    ///
    /// # Errors
    /// If the lengths differ, a value is not finite, or more than [`Self::MOST_PAIRS`] differ.
    pub fn new(a: &[f64], b: &[f64]) -> Result<Self, MetricError> {
        differences(a, b)?;
        let is_positive = |(a, b): (&f64, &f64)| (Rounded::distance(*a, *b), b > a);
        let mut differences: Vec<(Rounded, bool)> = a.iter().zip(b).map(is_positive).collect();
        differences.retain(|(distance, _)| distance.value > distance.error);
        let pairs = differences.len();
        if pairs > Self::MOST_PAIRS {
            return Err(MetricError::Count { what: "differing pairs", got: pairs, expected: "at most 2000" });
        }
        let ranks = doubled_ranks(&differences.iter().map(|(distance, _)| *distance).collect::<Vec<_>>());
        let positive = differences.iter().zip(&ranks).filter(|((_, is_positive), _)| *is_positive);
        let positive = positive.map(|(_, rank)| rank).sum::<usize>();
        let smaller = positive.min(ranks.iter().sum::<usize>() - positive);
        let p = (2.0 * probability_of_at_most(smaller, &ranks)).min(1.0);
        Ok(Self { w: smaller as f64 / 2.0, pairs, p })
    }
}

fn differences(a: &[f64], b: &[f64]) -> Result<Vec<f64>, MetricError> {
    same_length("values of b", b.len(), a.len())?;
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
    all_finite("difference", &differences)?;
    Ok(differences)
}

/// Probability that the ranks with a positive sign add up to at most `sum`, if each sign is positive with probability 1/2. The
/// distribution of the sum is built up rank by rank.
fn probability_of_at_most(sum: usize, ranks: &[usize]) -> f64 {
    let mut probability = vec![0.0f64; sum + 1];
    probability[0] = 1.0;
    for &rank in ranks {
        for total in (0..=sum).rev() {
            let joined = total.checked_sub(rank).map_or(0.0, |before| probability[before]);
            probability[total] = 0.5 * (probability[total] + joined);
        }
    }
    probability.iter().sum()
}
