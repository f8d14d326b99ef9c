//! Bootstrap intervals against the exact distribution of all resamples, where it can be enumerated, and their properties.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use mtcool_metrics::{BinaryScores, Bootstrap, Interval, MetricError};
use proptest::prelude::*;

fn bootstrap(resamples: usize, confidence: f64, seed: u64) -> Bootstrap {
    Bootstrap { resamples, confidence, seed }
}

/// All equally likely draws of `size` indices.
fn all_draws(size: usize) -> Vec<Vec<usize>> {
    let mut draws = vec![Vec::new()];
    for _ in 0..size {
        draws = draws.iter().flat_map(|draw| (0..size).map(move |index| [&draw[..], &[index]].concat())).collect();
    }
    draws
}

/// Holds an interval against equally likely `values`. The confidences of the tests keep clear of the steps of their discrete
/// distribution, so that its quantiles are also those of many random resamples; that is checked, too.
fn assert_exact(got: Interval, values: &[f64], confidence: f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    for (end, share) in [(got.low, tail), (got.high, 1.0 - tail)] {
        let [before, want, after] =
            [-0.007, 0.0, 0.007].map(|by| sorted[((share + by) * sorted.len() as f64) as usize]);
        assert!((before - after).abs() < 1e-12, "confidence {confidence} meets a step: {before} {after}");
        assert!((end - want).abs() < 1e-12, "{got:?}, exact {want} at {share}");
    }
    assert_eq!(got.undefined, 0);
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

#[test]
fn an_interval_of_a_mean_is_that_of_all_resamples() {
    let values = [0.0, 1.0, 5.0, 13.0];
    let means: Vec<f64> = all_draws(4).iter().map(|draw| mean(draw.iter().map(|&index| values[index]))).collect();
    for confidence in [0.54, 0.7, 0.8] {
        let got = bootstrap(40_000, confidence, 3).mean(&values).unwrap();
        assert_exact(got, &means, confidence);
        assert_eq!(got.estimate, 4.75);
    }
}

#[test]
fn an_interval_over_seeds_and_cases_draws_both_and_cases_for_all_seeds_alike() {
    let scores = [vec![0.0, 10.0, 30.0], vec![7.0, 1.0, 90.0]];
    let of_draws = |seeds: &[usize], cases: &[usize]| {
        mean(seeds.iter().map(|&seed| mean(cases.iter().map(|&case| scores[seed][case]))))
    };
    let mut means = Vec::new();
    for seeds in all_draws(2) {
        means.extend(all_draws(3).iter().map(|cases| of_draws(&seeds, cases)));
    }
    for confidence in [0.52, 0.8, 0.94] {
        let got = bootstrap(40_000, confidence, 8).mean_over_seeds(&scores).unwrap();
        assert_exact(got, &means, confidence);
        assert!((got.estimate - 23.0).abs() < 1e-12);
    }
}

#[test]
fn an_interval_of_many_values_is_that_of_the_normal_distribution() {
    let values: Vec<f64> = (0..400).map(|k| f64::from(k * 7919 % 400)).collect();
    let got = Bootstrap::default().mean(&values).unwrap();
    // Variance of 0 ..= 399 by n: (400^2 - 1) / 12.
    let half = 1.959964 * ((400f64.powi(2) - 1.0) / 12.0 / 400.0).sqrt();
    assert!((got.low - (got.estimate - half)).abs() < 0.05 * half, "{got:?} {half}");
    assert!((got.high - (got.estimate + half)).abs() < 0.05 * half, "{got:?} {half}");
}

#[test]
fn resamples_without_a_value_are_left_out_and_counted() {
    // One positive of three: (2/3)^3 of the resamples lack it, and (1/3)^3 have nothing else.
    let (scores, labels) = ([0.9, 0.8, 0.1], [true, false, false]);
    let auroc = |cases: &[usize]| {
        let (scores, labels): (Vec<f64>, Vec<bool>) = cases.iter().map(|&case| (scores[case], labels[case])).unzip();
        Some(BinaryScores::new(&scores, &labels).unwrap().auroc()).filter(|auroc| !auroc.is_nan())
    };
    let got = bootstrap(9000, 0.95, 1).statistic(3, auroc).unwrap();
    assert!((got.undefined as f64 - 3000.0).abs() < 200.0, "{got:?}");
    assert_eq!((got.estimate, got.low, got.high), (1.0, 1.0, 1.0));
    // Undefined on most resamples, or on the sample itself.
    let error = bootstrap(1000, 0.95, 1).statistic(3, |cases| (cases == [0, 1, 2]).then_some(1.0)).unwrap_err();
    assert!(matches!(error, MetricError::Undefined { undefined: 900.., of: 1000, .. }), "{error}");
    let message =
        bootstrap(1000, 0.95, 1).statistic(3, |cases| (cases != [0, 1, 2]).then_some(1.0)).unwrap_err().to_string();
    assert_eq!(message, "the statistic is undefined on 1 of 1 sample: expected a value on at least half of them");
}

#[test]
fn settings_and_samples_out_of_range_are_named() {
    let message = |got: Result<Interval, MetricError>| got.unwrap_err().to_string();
    assert_eq!(message(Bootstrap::default().mean(&[])), "0 values to draw from: expected at least 1");
    assert_eq!(message(bootstrap(0, 0.95, 0).mean(&[1.0])), "0 resamples: expected at least 1");
    for confidence in [0.0, 1.0, -1.0, f64::NAN] {
        assert!(message(bootstrap(10, confidence, 0).mean(&[1.0])).starts_with("confidence number 0 is "));
    }
    assert_eq!(message(Bootstrap::default().mean(&[1.0, f64::NAN])), "value number 1 is NaN: expected a finite number");
    assert!(Bootstrap::default().paired_difference(&[1.0], &[1.0, 2.0]).is_err());
    assert!(Bootstrap::default().mean_over_seeds(&[]).is_err());
    assert!(Bootstrap::default().mean_over_seeds(&[vec![1.0], vec![1.0, 2.0]]).is_err());
    assert!(Bootstrap::default().statistic(2, |_| Some(f64::NAN)).is_err());
    let mut calls = 0;
    let infinite_later = bootstrap(5, 0.5, 0).statistic(2, |_| {
        calls += 1;
        Some(if calls > 1 { f64::INFINITY } else { 0.0 })
    });
    assert!(message(infinite_later).starts_with("statistic of resample number 0 is inf"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn intervals_follow_from_the_seed_and_lie_within_the_values(values in prop::collection::vec(-50.0f64..50.0, 1..30), seed in any::<u64>()) {
        let bootstrap = bootstrap(200, 0.9, seed);
        let got = bootstrap.mean(&values).unwrap();
        prop_assert_eq!(got, bootstrap.mean(&values).unwrap());
        let (least, most) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)));
        prop_assert!(least - 1e-9 <= got.low && got.low <= got.high && got.high <= most + 1e-9, "{:?}", got);
        // A wider interval holds it.
        let wider = Bootstrap { confidence: 0.99, ..bootstrap }.mean(&values).unwrap();
        prop_assert!(wider.low <= got.low && got.high <= wider.high);
        if values.len() > 5 {
            let other = Bootstrap { seed: seed ^ 1, ..bootstrap }.mean(&values).unwrap();
            prop_assert_ne!((other.low, other.high), (got.low, got.high), "another seed draws other resamples");
        }
    }

    #[test]
    fn intervals_move_and_stretch_with_the_values(values in prop::collection::vec(-50.0f64..50.0, 1..20), shift in -9.0f64..9.0, scale in 0.1f64..9.0) {
        let bootstrap = bootstrap(100, 0.9, 4);
        let got = bootstrap.mean(&values).unwrap();
        let moved: Vec<f64> = values.iter().map(|value| shift + scale * value).collect();
        let moved = bootstrap.mean(&moved).unwrap();
        for (before, after) in [(got.estimate, moved.estimate), (got.low, moved.low), (got.high, moved.high)] {
            prop_assert!((shift + scale * before - after).abs() < 1e-9, "{:?} {:?}", got, moved);
        }
    }

    #[test]
    fn paired_differences_are_means_of_differences_and_turn_around(pairs in prop::collection::vec((-9.0f64..9.0, -9.0f64..9.0), 1..20)) {
        let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let bootstrap = bootstrap(101, 0.9, 4);
        let (forth, back) = (bootstrap.paired_difference(&a, &b).unwrap(), bootstrap.paired_difference(&b, &a).unwrap());
        let slow = bootstrap.statistic(pairs.len(), |drawn| Some(mean(drawn.iter().map(|&pair| b[pair] - a[pair])))).unwrap();
        prop_assert_eq!(forth, slow);
        prop_assert!((forth.estimate + back.estimate).abs() < 1e-12);
        prop_assert!((forth.low + back.high).abs() < 1e-9 && (forth.high + back.low).abs() < 1e-9);
    }
}
