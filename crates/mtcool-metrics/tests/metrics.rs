//! Metrics and tests against recorded values and against slow, obvious twins; what degenerate input gives.
//!
//! `MTCOOL_GOLDEN_DIR` points the recorded cases at another folder with a file of the same form.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::PathBuf;

use mtcool_metrics::{
    BinaryScores, ClassMap, ClassSet, Confusion, MaskCoding, Metric, MetricError, PairedTTest, Structure, Summary,
    WilcoxonTest, cup_to_disc_error, cup_to_disc_ratio, dice,
};
use proptest::prelude::*;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn classes(value: &Value) -> Vec<u8> {
    numbers(value).into_iter().map(|class| class as u8).collect()
}

/// Holds `got` against the case's `key`; a recorded null stands for NaN.
fn assert_recorded(case: &Value, key: &str, got: f64) {
    let want = case[key].as_f64().unwrap_or(f64::NAN);
    assert!(case.get(key).is_some(), "no `{key}` in {case}");
    let equal = got == want || (got.is_nan() && want.is_nan());
    assert!(equal || (got - want).abs() <= 1e-12 * (1.0 + want.abs()), "{key}: {got}, recorded {want}, in {case}");
}

#[test]
fn every_recorded_case_is_met() {
    let folder = std::env::var_os("MTCOOL_GOLDEN_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")), PathBuf::from);
    let file = folder.join("metrics.json");
    let cases: Vec<Value> = {
        let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        serde_json::from_slice(&bytes).unwrap()
    };
    assert!(!cases.is_empty(), "{}: no case", file.display());
    for case in &cases {
        match case["kind"].as_str().unwrap() {
            "binary_scores" => check_scores(case),
            "disc_cup" => check_masks(case),
            "paired" => check_pairs(case),
            other => panic!("unknown kind of case `{other}`"),
        }
    }
}

fn check_scores(case: &Value) {
    let labels: Vec<bool> = numbers(&case["labels"]).into_iter().map(|label| label == 1.0).collect();
    let scores = BinaryScores::new(&numbers(&case["scores"]), &labels).unwrap();
    let decided = scores.at_threshold(case["threshold"].as_f64().unwrap());
    for (metric, got) in [
        (Metric::Accuracy, decided.accuracy()),
        (Metric::Sensitivity, decided.sensitivity()),
        (Metric::Specificity, decided.specificity()),
        (Metric::F1, decided.f1()),
        (Metric::Auroc, scores.auroc()),
        (Metric::SensitivityAtSpecificity85, scores.sensitivity_at_specificity(0.85)),
    ] {
        assert_recorded(case, metric.name(), got);
    }
}

fn check_masks(case: &Value) {
    let (prediction, target) = (classes(&case["prediction"]), classes(&case["target"]));
    let files = |indices: &[u8]| indices.iter().map(|&class| [255, 128, 0][usize::from(class)]).collect::<Vec<u8>>();
    for (metric, region) in [(Metric::DiceDisc, Structure::Disc), (Metric::DiceCup, Structure::Cup)] {
        let map = |classes, coding| ClassMap { classes, positive: region.classes(coding) };
        let by_index = dice(map(&prediction, MaskCoding::Indices), map(&target, MaskCoding::Indices)).unwrap();
        assert_recorded(case, metric.name(), by_index);
        // The same masks in the codes of the challenge's files, and one of each.
        let (coded, mixed) = (files(&prediction), files(&target));
        let by_file = dice(map(&coded, MaskCoding::Refuge), map(&mixed, MaskCoding::Refuge)).unwrap();
        let by_both = dice(map(&prediction, MaskCoding::Indices), map(&mixed, MaskCoding::Refuge)).unwrap();
        assert_eq!([by_file, by_both], [by_index; 2]);
    }
}

fn check_pairs(case: &Value) {
    let (a, b) = (numbers(&case["a"]), numbers(&case["b"]));
    let test = PairedTTest::new(&a, &b).unwrap();
    assert_recorded(case, "mean_difference", test.mean_difference);
    assert_recorded(case, "t", test.t);
    assert_recorded(case, "t_p", test.p);
    assert_recorded(case, "std_a_ddof1", Summary::of(&a).unwrap().std.unwrap());
    let test = WilcoxonTest::new(&a, &b).unwrap();
    assert_recorded(case, "wilcoxon_w", test.w);
    assert_recorded(case, "wilcoxon_p_exact", test.p);
}

/// Scores in tenths, so that ties are common, with labels.
fn scored(most: usize) -> impl Strategy<Value = (Vec<f64>, Vec<bool>)> {
    prop::collection::vec((0u8..10, any::<bool>()), 1..most)
        .prop_map(|pairs| pairs.into_iter().map(|(score, label)| (f64::from(score) / 10.0, label)).unzip())
}

/// AUROC by its meaning: every positive against every negative.
fn share_of_ordered_pairs(scores: &[f64], labels: &[bool]) -> f64 {
    let of =
        |class: bool| scores.iter().zip(labels).filter(move |(_, label)| **label == class).map(|(score, _)| *score);
    let (mut won, mut pairs) = (0.0, 0.0);
    for positive in of(true) {
        for negative in of(false) {
            pairs += 1.0;
            won += if positive > negative { 1.0 } else { f64::from(u8::from(positive == negative)) / 2.0 };
        }
    }
    won / pairs
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn auroc_is_the_share_of_ordered_pairs((scores, labels) in scored(60)) {
        let (got, want) = (BinaryScores::new(&scores, &labels).unwrap().auroc(), share_of_ordered_pairs(&scores, &labels));
        prop_assert!((got - want).abs() < 1e-12 || (got.is_nan() && want.is_nan()), "{got} {want}");
    }

    #[test]
    fn auroc_depends_on_the_order_alone_and_turns_around_with_the_labels((scores, labels) in scored(60)) {
        let auroc = |scores: &[f64], labels: &[bool]| BinaryScores::new(scores, labels).unwrap().auroc();
        let got = auroc(&scores, &labels);
        prop_assume!(!got.is_nan());
        let stretched: Vec<f64> = scores.iter().map(|score| score.exp() - 5.0).collect();
        prop_assert_eq!(auroc(&stretched, &labels), got);
        let turned: Vec<bool> = labels.iter().map(|label| !label).collect();
        prop_assert!((auroc(&scores, &turned) + got - 1.0).abs() < 1e-12);
    }

    #[test]
    fn sensitivity_at_specificity_is_the_best_mix_of_neighbouring_thresholds((scores, labels) in scored(60), wanted in 0.0f64..=1.0) {
        let ranked = BinaryScores::new(&scores, &labels).unwrap();
        let got = ranked.sensitivity_at_specificity(wanted);
        // Every threshold's point; the curve at `wanted` lies between its nearest points on both sides.
        let thresholds = scores.iter().copied().chain([f64::INFINITY]);
        let points: Vec<(f64, f64)> =
            thresholds.map(|t| ranked.at_threshold(t)).map(|c| (c.specificity(), c.sensitivity())).collect();
        prop_assume!(!got.is_nan());
        let nearest = |a: &(f64, f64), b: &(f64, f64)| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1));
        let (left, right): (Vec<_>, Vec<_>) = points.into_iter().partition(|point| point.0 < wanted);
        let right = right.into_iter().min_by(nearest).unwrap();
        let want = match left.into_iter().max_by(nearest) {
            Some(left) => right.1 + (left.1 - right.1) * (right.0 - wanted) / (right.0 - left.0),
            None => right.1,
        };
        prop_assert!((got - want).abs() < 1e-12, "{} {}", got, want);
    }

    #[test]
    fn no_threshold_is_more_balanced_and_it_lies_between_scores((scores, labels) in scored(60)) {
        let ranked = BinaryScores::new(&scores, &labels).unwrap();
        let threshold = ranked.balanced_threshold();
        prop_assume!(!threshold.is_nan());
        let positives = labels.iter().filter(|label| **label).count();
        let negatives = labels.len() - positives;
        // Counted one by one; both rates have the denominator `positives * negatives`.
        let goodness = |threshold: f64| {
            let right = |wanted: bool| scores.iter().zip(&labels).filter(|(s, l)| **l == wanted && (**s >= threshold) == wanted).count();
            let (sensitivity, specificity) = (right(true) * negatives, right(false) * positives);
            (sensitivity.min(specificity), sensitivity + specificity)
        };
        let best = scores.iter().map(|&score| goodness(score)).max().unwrap();
        prop_assert_eq!(goodness(threshold), best);
        // Any threshold above it with the same decisions or better would be higher.
        let above = scores.iter().filter(|&&score| score > threshold).copied().fold(f64::INFINITY, f64::min);
        prop_assert!(scores.iter().filter(|&&score| score > above).all(|&score| goodness(score) < best));
        prop_assert!(scores.iter().all(|&score| score != threshold) || scores.iter().all(|&score| score >= threshold));
    }

    #[test]
    fn decisions_are_counted_one_by_one((scores, labels) in scored(60), threshold in 0u8..10) {
        let threshold = f64::from(threshold) / 10.0;
        let counts = BinaryScores::new(&scores, &labels).unwrap().at_threshold(threshold);
        let of = |called: bool, is: bool| scores.iter().zip(&labels).filter(|(s, l)| (**s >= threshold, **l) == (called, is)).count() as u64;
        let want = Confusion { true_positives: of(true, true), false_positives: of(true, false), true_negatives: of(false, false), false_negatives: of(false, true) };
        prop_assert_eq!(counts, want);
        prop_assert_eq!(counts.total(), labels.len() as u64);
        // F1 by its definition.
        let (precision, sensitivity) = (counts.precision(), counts.sensitivity());
        let f1 = if precision + sensitivity > 0.0 { 2.0 * precision * sensitivity / (precision + sensitivity) } else { 0.0 };
        prop_assert!((counts.f1() - f1).abs() < 1e-12);
    }

    #[test]
    fn pooled_pixels_are_the_pixels_of_all_images(pixels in prop::collection::vec((0u8..4, 0u8..4, any::<bool>()), 2..80), cut in 0usize..80) {
        let cut = cut % pixels.len();
        let prediction: Vec<u8> = pixels.iter().map(|pixel| pixel.0).collect();
        let target: Vec<u8> = pixels.iter().map(|pixel| pixel.1).collect();
        let region: Vec<bool> = pixels.iter().map(|pixel| pixel.2).collect();
        let count = |range: std::ops::Range<usize>, region: Option<&[bool]>| {
            let prediction = ClassMap { classes: &prediction[range.clone()], positive: ClassSet::of(&[1, 2]) };
            let target = ClassMap { classes: &target[range.clone()], positive: ClassSet::of(&[0]).complement() };
            Confusion::of_pixels(prediction, target, region.map(|region| &region[range])).unwrap()
        };
        for region in [None, Some(&region[..])] {
            let parts: Confusion = [count(0..cut, region), count(cut..pixels.len(), region)].into_iter().sum();
            prop_assert_eq!(parts, count(0..pixels.len(), region));
            let inside = |index: usize| region.is_none_or(|region| region[index]);
            let right = (0..pixels.len()).filter(|&k| inside(k) && (1..=2).contains(&prediction[k]) == (target[k] > 0)).count();
            prop_assert_eq!(parts.true_positives + parts.true_negatives, right as u64);
            prop_assert_eq!(parts.total(), (0..pixels.len()).filter(|&k| inside(k)).count() as u64);
        }
    }

    #[test]
    fn wilcoxon_is_the_enumeration_of_all_signs(pairs in prop::collection::vec((-4i8..5, -4i8..5), 0..12)) {
        let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().map(|&(a, b)| (f64::from(a), f64::from(b))).unzip();
        let got = WilcoxonTest::new(&a, &b).unwrap();
        let differences: Vec<i32> = pairs.iter().map(|&(a, b)| i32::from(b) - i32::from(a)).filter(|d| *d != 0).collect();
        // Mean rank by counting: those below, and half of the others that tie.
        let rank = |d: &i32| {
            let below = differences.iter().filter(|other| other.abs() < d.abs()).count() as f64;
            let tied = differences.iter().filter(|other| other.abs() == d.abs()).count() as f64;
            below + (tied + 1.0) / 2.0
        };
        let ranks: Vec<f64> = differences.iter().map(rank).collect();
        let sum = |is_in: &dyn Fn(usize) -> bool| (0..ranks.len()).filter(|&k| is_in(k)).map(|k| ranks[k]).sum::<f64>();
        let w = sum(&|k| differences[k] > 0).min(sum(&|k| differences[k] < 0));
        let all = 1u32 << ranks.len();
        let as_extreme = (0..all).filter(|signs| sum(&|k| signs >> k & 1 == 1) <= w).count();
        prop_assert_eq!(got.pairs, differences.len());
        prop_assert_eq!(got.w, w);
        prop_assert!((got.p - (2.0 * as_extreme as f64 / f64::from(all)).min(1.0)).abs() < 1e-12, "{:?}", got);
    }

    #[test]
    fn paired_tests_turn_around_with_the_methods(pairs in prop::collection::vec((0.0f64..1.0, 0.0f64..1.0), 2..40)) {
        let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let (forth, back) = (PairedTTest::new(&a, &b).unwrap(), PairedTTest::new(&b, &a).unwrap());
        prop_assert_eq!((forth.mean_difference, forth.t, forth.p), (-back.mean_difference, -back.t, back.p));
        prop_assert_eq!(WilcoxonTest::new(&a, &b).unwrap(), WilcoxonTest::new(&b, &a).unwrap());
    }

    /// Student's distribution has a finite sum for whole degrees of freedom v (Abramowitz and Stegun 26.7.3 and 26.7.4, with
    /// tan(theta) = t / sqrt(v)): exact but for the cancellation in 1 - A, which 1e-13 allows for.
    #[test]
    fn the_t_tests_probability_is_the_finite_sum(values in prop::collection::vec(-1.0f64..1.0, 2..400), shift in -0.3f64..0.3) {
        let b: Vec<f64> = values.iter().map(|value| value + shift).collect();
        let test = PairedTTest::new(&vec![0.0; b.len()], &b).unwrap();
        let v = test.degrees_of_freedom;
        let theta = (test.t.abs() / (v as f64).sqrt()).atan();
        let (sin, cos) = theta.sin_cos();
        let (mut term, mut sum) = (if v.is_multiple_of(2) { 1.0 } else { cos }, 0.0);
        let mut k = if v.is_multiple_of(2) { 2.0 } else { 3.0 };
        while k <= v as f64 {
            sum += term;
            term *= cos * cos * (k - 1.0) / k;
            k += 2.0;
        }
        let within = if v.is_multiple_of(2) { sin * sum } else { (theta + sin * sum) * 2.0 / std::f64::consts::PI };
        prop_assert!((test.p - (1.0 - within)).abs() < 1e-13 + 1e-11 * test.p, "v {} t {} p {} sum {}", v, test.t, test.p, 1.0 - within);
    }
}

/// The tails by their own formulas, where a difference from 1 would have lost every digit.
#[test]
fn small_probabilities_of_the_t_test_keep_their_digits() {
    for exponent in 1..6 {
        let t = 10f64.powi(exponent);
        // One degree of freedom: 2/pi atan(1/t). Two: 1 - t/sqrt(2 + t^2), rearranged.
        let one = pair_with_t(t, 2);
        assert!((one.p / (2.0 / std::f64::consts::PI * (1.0 / one.t).atan()) - 1.0).abs() < 1e-10, "{one:?}");
        let two = pair_with_t(t, 3);
        let root = (2.0 + two.t * two.t).sqrt();
        assert!((two.p / (2.0 / (root * (root + two.t))) - 1.0).abs() < 1e-10, "{two:?}");
    }
}

/// A test of `n` pairs, two of them off the mean by 1, whose t is about `t`.
fn pair_with_t(t: f64, n: usize) -> PairedTTest {
    let mut b = vec![0.0; n];
    (b[0], b[1]) = (1.0, -1.0);
    let spread = (2.0 / (n - 1) as f64 / n as f64).sqrt();
    b.iter_mut().for_each(|value| *value += t * spread);
    let test = PairedTTest::new(&vec![0.0; n], &b).unwrap();
    assert!((test.t / t - 1.0).abs() < 1e-9);
    test
}

#[test]
fn a_class_that_is_absent_gives_what_scikit_learn_gives() {
    for label in [false, true] {
        let scores = BinaryScores::new(&[0.2, 0.7, 0.7], &[label; 3]).unwrap();
        assert!(scores.auroc().is_nan() && scores.sensitivity_at_specificity(0.85).is_nan());
    }
    let negatives = BinaryScores::new(&[0.2, 0.3], &[false; 2]).unwrap().at_threshold(0.5);
    assert_eq!([negatives.accuracy(), negatives.specificity()], [1.0, 1.0]);
    assert_eq!([negatives.sensitivity(), negatives.precision(), negatives.f1()], [0.0; 3]);
    let nothing = BinaryScores::new(&[], &[]).unwrap();
    assert!(nothing.auroc().is_nan() && nothing.at_threshold(0.5).accuracy().is_nan());
}

#[test]
fn the_balanced_threshold_of_known_scores() {
    let threshold = |scores: &[f64], labels: &[bool]| BinaryScores::new(scores, labels).unwrap().balanced_threshold();
    // Called positive from 0.4 on: sensitivity 1, specificity 2/3; from 0.6 on: 1/2, 2/3; from 0.9 on: 1/2, 1.
    let labels = [true, false, true, false, false];
    assert!((threshold(&[0.9, 0.6, 0.4, 0.2, 0.1], &labels) - 0.3).abs() < 1e-15);
    // From 0.9 on 1/2 and 1, from 0.4 on 1 and 1/2: the higher threshold wins.
    assert!((threshold(&[0.9, 0.6, 0.4, 0.1], &labels[..4]) - 0.75).abs() < 1e-15);
    // From 0.6 and from 0.4 on the smaller rate is 1/2; from 0.4 on the sum is larger.
    assert!((threshold(&[0.9, 0.6, 0.4, 0.1], &[false, true, true, false]) - 0.25).abs() < 1e-15);
    // From 0.9 on 1/3 and 1, whose sum is the largest one; from 0.6 on 2/3 and 3/5, whose smaller rate is.
    let labels = [true, false, false, true, false, false, true, false];
    assert!((threshold(&[0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2], &labels) - 0.55).abs() < 1e-15);
    // Constant scores: all are called positive.
    assert_eq!(threshold(&[0.1; 3], &[true, false, true]), 0.1);
    let next = 0.5f64.next_up();
    assert_eq!(threshold(&[next, 0.5], &[true, false]), next);
    assert!(threshold(&[0.3, 0.4], &[true; 2]).is_nan() && threshold(&[], &[]).is_nan());
}

#[test]
fn scores_decide_at_the_threshold_itself_and_at_the_ends_of_the_curve() {
    let scores = BinaryScores::new(&[0.5, 0.5 - 1e-12], &[true, true]).unwrap();
    assert_eq!(scores.at_threshold(0.5).true_positives, 1);
    // Positives 0.9 and 0.4, negatives 0.6 and 0.1: specificity 1 up to sensitivity 1/2, 1/2 up to sensitivity 1.
    let scores = BinaryScores::new(&[0.9, 0.6, 0.4, 0.1], &[true, false, true, false]).unwrap();
    let at = |specificity| scores.sensitivity_at_specificity(specificity);
    assert_eq!([at(1.0), at(0.75), at(0.5), at(0.25), at(0.0)], [0.5, 0.5, 1.0, 1.0, 1.0]);
    assert!(at(1.1).is_nan() && at(-0.1).is_nan() && at(f64::NAN).is_nan());
    // 306 of 360 negatives is a specificity of 0.85 to the bit, as on the challenge's test set: the curve's upper end counts.
    let labels: Vec<bool> = (0..400).map(|k| k >= 360).collect();
    let values: Vec<f64> = (0..400)
        .map(|k| {
            if k < 306 {
                0.1
            } else if k < 360 {
                0.9
            } else {
                0.5
            }
        })
        .collect();
    assert_eq!(BinaryScores::new(&values, &labels).unwrap().sensitivity_at_specificity(0.85), 1.0);
}

#[test]
fn a_cup_to_disc_ratio_is_that_of_the_fattest_columns() {
    // Columns: disc 1, 3 and 2 pixels (the cup belongs to it), cup 0, 1 and 2.
    let mask = [255, 128, 255, 128, 0, 0, 255, 128, 0];
    assert_eq!(cup_to_disc_ratio(&mask, 3, MaskCoding::Refuge).unwrap(), 2.0 / 3.0);
    let indices: Vec<u8> = mask.iter().map(|code| (255 - code) / 127).collect();
    assert_eq!(cup_to_disc_ratio(&indices, 3, MaskCoding::Indices).unwrap(), 2.0 / 3.0);
    assert_eq!(cup_to_disc_ratio(&[255; 6], 3, MaskCoding::Refuge).unwrap(), 0.0, "no disc");
    assert_eq!(cup_to_disc_ratio(&[], 3, MaskCoding::Refuge).unwrap(), 0.0);
    assert!(
        cup_to_disc_ratio(&mask, 2, MaskCoding::Refuge).is_err()
            && cup_to_disc_ratio(&[], 0, MaskCoding::Refuge).is_err()
    );
    assert!((cup_to_disc_error(&[0.5, 0.2], &[0.4, 0.6]).unwrap() - 0.25).abs() < 1e-15);
    assert!(cup_to_disc_error(&[], &[]).unwrap().is_nan());
}

#[test]
fn a_disc_is_everything_below_255() {
    let disc = Structure::Disc.classes(MaskCoding::Refuge);
    assert!((0..255).all(|code| disc.contains(code)) && !disc.contains(255));
    let cup = Structure::Cup.classes(MaskCoding::Refuge);
    assert!(cup.contains(0) && !(1..=255).any(|code| cup.contains(code)));
}

#[test]
fn paired_tests_state_their_degenerate_cases() {
    let equal = PairedTTest::new(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]).unwrap();
    assert!(equal.t.is_nan() && equal.p.is_nan() && equal.mean_difference == 0.0);
    let shifted = PairedTTest::new(&[1.0, 2.0, 3.0], &[0.0, 1.0, 2.0]).unwrap();
    assert_eq!((shifted.t, shifted.p), (f64::NEG_INFINITY, 0.0));
    assert_eq!(
        PairedTTest::new(&[1.0], &[2.0]),
        Err(MetricError::Count { what: "pairs", got: 1, expected: "at least 2" })
    );
    assert_eq!(WilcoxonTest::new(&[1.0, 2.0], &[1.0, 2.0]).unwrap(), WilcoxonTest { w: 0.0, pairs: 0, p: 1.0 });
    assert_eq!(WilcoxonTest::new(&[], &[]).unwrap().p, 1.0);
    let many = vec![0.0; WilcoxonTest::MOST_PAIRS + 1];
    let others: Vec<f64> = (1..=many.len()).map(|k| k as f64).collect();
    assert!(WilcoxonTest::new(&many, &others).unwrap_err().to_string().contains("at most 2000"));
    // All of 400 signs alike: two of 2^400.
    assert_eq!(WilcoxonTest::new(&many[..400], &others[..400]).unwrap().p, 2f64.powi(-399));
}

/// Hits of three seeds as shares in per cent: a difference of one hit is 33.333333333333336 or 33.33333333333333, depending on
/// where it lies.
#[test]
fn means_that_differ_by_rounding_tie_in_the_wilcoxon_test() {
    let mean = |hits: u8| 100.0 * f64::from(hits) / 3.0;
    assert_ne!(mean(1) - mean(0), mean(3) - mean(2));
    let hits = [(0, 1), (1, 2), (1, 2), (2, 1), (0, 3), (3, 1), (2, 3), (0, 2), (3, 3), (1, 0), (0, 1)];
    let (a, b): (Vec<f64>, Vec<f64>) = hits.iter().map(|&(a, b)| (mean(a), mean(b))).unzip();
    let (sums_of_a, sums_of_b): (Vec<f64>, Vec<f64>) = hits.iter().map(|&(a, b)| (f64::from(a), f64::from(b))).unzip();
    let of_sums = WilcoxonTest::new(&sums_of_a, &sums_of_b).unwrap();
    assert_eq!(WilcoxonTest::new(&a, &b).unwrap(), of_sums);
    // Seven differences of 1 share rank 4, two of 2 share 8.5, and one of 3 has rank 10; three are negative: 4 + 8.5 + 4.
    assert_eq!((of_sums.w, of_sums.pairs), (16.5, 10));
    // A sum in another order is no difference at all.
    let (forth, back) = ((0.1 + 0.2) + 0.3, 0.1 + (0.2 + 0.3));
    assert_ne!(forth, back);
    assert_eq!(WilcoxonTest::new(&[forth, 1.0], &[back, 2.0]).unwrap().pairs, 1);
    // Differences far beyond rounding do not tie.
    assert_eq!(WilcoxonTest::new(&[0.0, 0.0], &[1.0, -1.0 - 1e-12]).unwrap().w, 1.0);
}

#[test]
fn input_that_no_metric_is_defined_on_is_named() {
    let message = BinaryScores::new(&[0.1, f64::NAN], &[true, false]).unwrap_err().to_string();
    assert_eq!(message, "score number 1 is NaN: expected a finite number");
    let message = BinaryScores::new(&[0.1], &[true, false]).unwrap_err().to_string();
    assert_eq!(message, "2 labels: expected 1, one for each entry of the other input");
    assert!(PairedTTest::new(&[0.1], &[0.2, 0.3]).is_err() && WilcoxonTest::new(&[0.1], &[f64::INFINITY]).is_err());
    let map = |classes| ClassMap { classes, positive: ClassSet::of(&[1]) };
    assert!(dice(map(&[1]), map(&[1, 0])).is_err() && cup_to_disc_error(&[], &[0.1]).is_err());
    assert!(Confusion::of_pixels(map(&[1]), map(&[1]), Some(&[])).is_err());
}

#[test]
fn names_of_metrics_are_different() {
    let names: std::collections::BTreeSet<_> = Metric::ALL.map(Metric::name).into_iter().collect();
    assert_eq!(names.len(), Metric::ALL.len());
    assert_eq!(Metric::ALL.iter().filter(|metric| !metric.larger_is_better()).count(), 1);
}
