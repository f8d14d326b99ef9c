//! The interval of a difference of two means, from means, standard deviations and numbers of runs.

use crate::error::MetricError;
use crate::student::two_sided_quantile;
use crate::summary::Summary;

/// The difference of two means with its confidence interval, for samples that are known only by their summaries.
///
/// ```
/// # fn main() -> Result<(), mtcool_metrics::MetricError> {
/// use mtcool_metrics::{MeanDifference, Summary};
/// let ours = Summary { mean: 99.58, std: Some(0.06), count: 5 };
/// let published = Summary { mean: 99.72, std: Some(0.04), count: 5 };
/// let difference = MeanDifference::welch(&ours, &published, 0.95)?;
/// assert!((difference.estimate + 0.14).abs() < 1e-12);
/// assert!(difference.low < -0.14 && -0.14 < difference.high && difference.high < 0.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanDifference {
    /// The first mean minus the second mean.
    pub estimate: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Degrees of freedom of Student's distribution; infinite if both standard deviations are 0, where the interval is a point.
    pub degrees_of_freedom: f64,
}

impl MeanDifference {
    /// Of `a.mean - b.mean`, for independent normal samples with unequal variances (Welch 1947).
    ///
    /// With `v = std^2 / count` of each sample, the interval is `a.mean - b.mean +- t sqrt(v_a + v_b)`, where `t` is the quantile
    /// for `(v_a + v_b)^2 / (v_a^2 / (count_a - 1) + v_b^2 / (count_b - 1))` degrees of freedom. `confidence` lies between 0 and
    /// 1, both excluded.
    ///
    /// # Errors
    /// If a sample has fewer than two values or no standard deviation, if a number is not finite, if a standard deviation is
    /// negative, or if `confidence` is out of range.
    pub fn welch(a: &Summary, b: &Summary, confidence: f64) -> Result<Self, MetricError> {
        Self::of(a.mean - b.mean, &[MeanVariance::of(a)?, MeanVariance::of(b)?], confidence)
    }

    /// Of `a.mean - value`, where `value` is taken as exactly known: the interval of a one-sample t-test.
    ///
    /// # Errors
    /// As for [`Self::welch`].
    pub fn from_constant(a: &Summary, value: f64, confidence: f64) -> Result<Self, MetricError> {
        Self::of(a.mean - value, &[MeanVariance::of(a)?], confidence)
    }

    fn of(estimate: f64, means: &[MeanVariance], confidence: f64) -> Result<Self, MetricError> {
        if !estimate.is_finite() {
            return Err(MetricError::NotFinite { what: "difference of means", index: 0, value: estimate });
        }
        if !(confidence > 0.0 && confidence < 1.0) {
            let expected = "a number between 0 and 1";
            return Err(MetricError::OutOfRange { what: "confidence", index: 0, value: confidence, expected });
        }
        let (variance, degrees_of_freedom) = combined(means);
        if variance == 0.0 {
            return Ok(Self { estimate, low: estimate, high: estimate, degrees_of_freedom });
        }
        let half = two_sided_quantile(1.0 - confidence, degrees_of_freedom) * variance.sqrt();
        Ok(Self { estimate, low: estimate - half, high: estimate + half, degrees_of_freedom })
    }
}

/// The variance of a sum of independent means, and its degrees of freedom (Satterthwaite 1946), which are infinite if it is 0.
pub(crate) fn combined(means: &[MeanVariance]) -> (f64, f64) {
    let variance: f64 = means.iter().map(|mean| mean.variance).sum();
    if variance == 0.0 {
        return (0.0, f64::INFINITY);
    }
    // The shares of the variance, rather than the variances, cannot underflow when they are squared.
    let share = |mean: &MeanVariance| (mean.variance / variance).powi(2) / (mean.count - 1) as f64;
    (variance, 1.0 / means.iter().map(share).sum::<f64>())
}

/// The variance of a sample's mean, `std^2 / count`, of at least 2 values.
pub(crate) struct MeanVariance {
    variance: f64,
    count: usize,
}

impl MeanVariance {
    /// Of finite `values`; `None` if there are fewer than 2.
    pub(crate) fn of_values(values: &[f64]) -> Option<Self> {
        let Summary { std, count, .. } = Summary::of(values)?;
        std.map(|std| Self { variance: std * std / count as f64, count })
    }

    /// The larger one of this variance and `variance`, with the `degrees_of_freedom` of the latter.
    pub(crate) fn at_least(self, variance: f64, degrees_of_freedom: usize) -> Self {
        Self { variance: self.variance.max(variance), count: degrees_of_freedom + 1 }
    }

    fn of(sample: &Summary) -> Result<Self, MetricError> {
        let count = sample.count;
        let (2.., Some(std)) = (count, sample.std) else {
            let expected = "at least 2, with a standard deviation";
            return Err(MetricError::Count { what: "values of a sample", got: count, expected });
        };
        if !(std.is_finite() && std >= 0.0) {
            let expected = "a finite number, 0 or more";
            return Err(MetricError::OutOfRange { what: "standard deviation", index: 0, value: std, expected });
        }
        Ok(Self { variance: std * std / count as f64, count })
    }
}
