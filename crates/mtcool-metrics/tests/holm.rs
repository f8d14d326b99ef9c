//! Holm's correction against values computed by hand and against the closed test that it abbreviates.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use mtcool_metrics::{MetricError, holm};
use proptest::prelude::*;

/// The closed test of Bonferroni tests: a hypothesis' adjusted p-value is the largest p-value among all sets of hypotheses that
/// contain it, and that of a set is its size times its smallest p-value.
fn closed_test(p: &[f64]) -> Vec<f64> {
    let members = |set: u32| (0..p.len()).filter(move |index| set >> index & 1 == 1);
    let of_set = |set: u32| {
        let smallest = members(set).map(|index| p[index]).fold(f64::INFINITY, f64::min);
        (members(set).count() as f64 * smallest).min(1.0)
    };
    let of_hypothesis =
        |index: usize| (1u32..1 << p.len()).filter(|set| set >> index & 1 == 1).map(of_set).fold(0.0, f64::max);
    (0..p.len()).map(of_hypothesis).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn holm_is_the_closed_test_of_bonferroni_tests(p in prop::collection::vec(prop_oneof![0.0f64..=1.0, Just(0.0), Just(0.01), Just(1.0)], 0..8)) {
        prop_assert_eq!(holm(&p).unwrap(), closed_test(&p));
    }

    #[test]
    fn adjusted_values_follow_the_order_and_lie_between_p_and_bonferroni(p in prop::collection::vec(0.0f64..=1.0, 1..30)) {
        let adjusted = holm(&p).unwrap();
        for (a, adjusted_a) in p.iter().zip(&adjusted) {
            prop_assert!(a <= adjusted_a && *adjusted_a <= (a * p.len() as f64).max(adjusted_a.min(1.0)));
            prop_assert!(*adjusted_a <= 1.0);
            for (b, adjusted_b) in p.iter().zip(&adjusted) {
                prop_assert!(a > b || adjusted_a <= adjusted_b, "{} {} {} {}", a, b, adjusted_a, adjusted_b);
            }
        }
        let smallest = p.iter().copied().fold(1.0, f64::min);
        let of_smallest = adjusted.iter().copied().fold(1.0, f64::min);
        prop_assert_eq!(of_smallest, (smallest * p.len() as f64).min(1.0), "the smallest is corrected as by Bonferroni");
    }
}

#[test]
fn adjusted_values_are_those_computed_by_hand() {
    // Ascending: 0.005 * 4, 0.01 * 3, 0.03 * 2, and 0.04 * 1, which may not fall below the one before.
    let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]).unwrap();
    for (got, want) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
        assert!((got - want).abs() < 1e-15, "{got} {want}");
    }
    assert_eq!(holm(&[0.5, 0.5]).unwrap(), [1.0, 1.0]);
    assert_eq!(holm(&[0.3]).unwrap(), [0.3]);
    assert_eq!(holm(&[]).unwrap(), []);
}

#[test]
fn what_is_no_probability_is_named() {
    for p in [-0.1, 1.0 + f64::EPSILON, f64::NAN, f64::INFINITY] {
        let error = holm(&[0.5, p]).unwrap_err();
        assert!(matches!(error, MetricError::OutOfRange { index: 1, .. }), "{error}");
    }
    let message = holm(&[2.0]).unwrap_err().to_string();
    assert_eq!(message, "p-value number 0 is 2: expected a probability from 0 to 1");
}
