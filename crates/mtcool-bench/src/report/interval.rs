//! The confidence of the report's intervals, and the interval of a mean over runs.

use mtcool_metrics::{MeanDifference, MetricError, Summary};

/// Confidence of all intervals of the report.
pub(super) const CONFIDENCE: f64 = 0.95;

/// The 95 % interval of the mean of runs (Student's t); `None` if there are fewer than two.
///
/// # Errors
/// If the mean is not finite.
pub(super) fn mean_interval(summary: &Summary) -> Result<Option<[f64; 2]>, MetricError> {
    if summary.count < 2 {
        return Ok(None);
    }
    let found = MeanDifference::from_constant(summary, 0.0, CONFIDENCE)?;
    Ok(Some([found.low, found.high]))
}

/// `value`, an end of an interval, or the nearest point that is no farther from the ends of `range` than half of its length. The
/// interval of two runs is so wide that a chart of all of it would hide the runs.
pub(super) fn cut(value: f64, [low, high]: [f64; 2]) -> f64 {
    let room = (high - low) / 2.0;
    // A range that is not finite has no order.
    if room >= 0.0 { value.clamp(low - room, high + room) } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_students() {
        let of = |values: &[f64]| mean_interval(&Summary::of(values).unwrap()).unwrap();
        assert_eq!(of(&[1.0]), None);
        assert_eq!(of(&[2.0, 2.0]), Some([2.0, 2.0]));
        // Standard error 1 with 1 degree of freedom.
        let [low, high] = of(&[2.0, 4.0]).unwrap();
        assert!((low - (3.0 - 12.7062)).abs() < 1e-4 && (high - (3.0 + 12.7062)).abs() < 1e-4, "{low}, {high}");
    }

    #[test]
    fn ends_far_beyond_the_runs_are_cut() {
        assert_eq!([-5.0, 0.5, 2.5, 9.0].map(|end| cut(end, [0.0, 2.0])), [-1.0, 0.5, 2.5, 3.0]);
        assert_eq!(cut(7.0, [f64::INFINITY, f64::NEG_INFINITY]), 7.0, "without a run there is nothing to cut by");
    }
}
