//! Intervals of differences of means against values computed by hand and against the paired t-test's relatives.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use mtcool_metrics::{MeanDifference, PairedTTest, Summary};
use proptest::prelude::*;

fn sample(mean: f64, std: f64, count: usize) -> Summary {
    Summary { mean, std: Some(std), count }
}

fn close(got: f64, want: f64, tolerance: f64) {
    assert!((got - want).abs() < tolerance, "{got}, expected {want}");
}

#[test]
fn equal_samples_have_the_interval_computed_by_hand() {
    // Variances of the means 0.5 and 0.5: 1 in all, (1 + 1)^2 / (1/4 + 1/4) / 4 = 2 (n - 1) = 2 degrees of freedom for n = 2. The
    // quantile for 2 degrees is sqrt(2) 0.95 / sqrt(1 - 0.95^2) = 4.3026527.
    let difference = MeanDifference::welch(&sample(5.0, 1.0, 2), &sample(3.0, 1.0, 2), 0.95).unwrap();
    close(difference.degrees_of_freedom, 2.0, 1e-12);
    close(difference.low, 2.0 - 4.302_652_729_696_142, 1e-9);
    close(difference.high, 2.0 + 4.302_652_729_696_142, 1e-9);
}

#[test]
fn unequal_samples_have_welchs_degrees_of_freedom() {
    // Variances of the means: 9 / 3 = 3 and 4 / 4 = 1. Degrees of freedom: 16 / (9 / 2 + 1 / 3) = 96 / 29 = 3.3103.
    let difference = MeanDifference::welch(&sample(0.0, 3.0, 3), &sample(1.0, 2.0, 4), 0.95).unwrap();
    close(difference.degrees_of_freedom, 96.0 / 29.0, 1e-12);
    close(difference.estimate, -1.0, 1e-15);
    // The quantiles for 3 and 4 degrees are 3.182 and 2.776, and the standard error is 2.
    let half = (difference.high - difference.low) / 2.0;
    assert!(half > 2.0 * 2.776 && half < 2.0 * 3.182, "{half}");
}

#[test]
fn a_sample_without_spread_leaves_the_freedom_of_the_other() {
    let of_exact = MeanDifference::welch(&sample(2.0, 0.0, 3), &sample(1.0, 1.5, 5), 0.9).unwrap();
    let by_constant = MeanDifference::from_constant(&sample(1.0, 1.5, 5), 2.0, 0.9).unwrap();
    close(of_exact.degrees_of_freedom, 4.0, 1e-12);
    close(of_exact.low, -by_constant.high, 1e-12);
    close(of_exact.high, -by_constant.low, 1e-12);
    // 1.5 / sqrt(5) = 0.67082, times the printed quantile 2.132 for 4 degrees of freedom.
    close(of_exact.high - 1.0, 0.67082 * 2.132, 5e-4);
    let points = MeanDifference::welch(&sample(2.0, 0.0, 3), &sample(1.0, 0.0, 3), 0.95).unwrap();
    assert_eq!((points.low, points.high, points.degrees_of_freedom), (1.0, 1.0, f64::INFINITY));
}

#[test]
fn what_has_no_interval_is_named() {
    let (good, lone) = (sample(1.0, 1.0, 3), Summary { mean: 1.0, std: None, count: 1 });
    let message =
        |a: &Summary, b: &Summary, confidence| MeanDifference::welch(a, b, confidence).unwrap_err().to_string();
    let few = "1 values of a sample: expected at least 2, with a standard deviation";
    assert_eq!(message(&good, &lone, 0.95), few);
    assert_eq!(message(&lone, &good, 0.95), few);
    assert!(message(&good, &sample(1.0, -1.0, 3), 0.95).starts_with("standard deviation number 0 is -1"));
    assert!(message(&good, &sample(1.0, f64::NAN, 3), 0.95).starts_with("standard deviation number 0 is NaN"));
    assert!(message(&good, &sample(f64::NAN, 1.0, 3), 0.95).starts_with("difference of means number 0 is NaN"));
    for confidence in [0.0, 1.0, f64::NAN] {
        assert!(message(&good, &good, confidence).starts_with("confidence number 0"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// An interval with the confidence `1 - p` of the t-test has 0 at one of its ends.
    #[test]
    fn the_interval_and_the_t_test_agree(values in prop::collection::vec(-5.0f64..5.0, 2..12)) {
        let zeros = vec![0.0; values.len()];
        let test = PairedTTest::new(&zeros, &values).unwrap();
        prop_assume!(test.p > 1e-6 && test.p < 1.0 - 1e-6);
        let summary = Summary::of(&values).unwrap();
        let interval = MeanDifference::from_constant(&summary, 0.0, 1.0 - test.p).unwrap();
        let nearest = interval.low.abs().min(interval.high.abs());
        prop_assert!(nearest < 1e-6 * (interval.high - interval.low), "{:?} {:?}", interval, test);
    }

    #[test]
    fn exchanged_samples_have_the_mirrored_interval(a in (-9.0f64..9.0, 0.0f64..3.0, 2usize..9), b in (-9.0f64..9.0, 0.0f64..3.0, 2usize..9)) {
        let (a, b) = (sample(a.0, a.1, a.2), sample(b.0, b.1, b.2));
        let one = MeanDifference::welch(&a, &b, 0.95).unwrap();
        let other = MeanDifference::welch(&b, &a, 0.95).unwrap();
        prop_assert!((one.low + other.high).abs() < 1e-9 && (one.high + other.low).abs() < 1e-9);
        let smaller = a.count.min(b.count) as f64 - 1.0;
        let most = (a.count + b.count) as f64 - 2.0;
        let freedom = one.degrees_of_freedom;
        prop_assert!(freedom.is_infinite() || (freedom >= smaller - 1e-9 && freedom <= most + 1e-9), "{}", freedom);
    }
}
