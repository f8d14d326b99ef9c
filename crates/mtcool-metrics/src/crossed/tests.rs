//! Differences over seeds and cases against the tests that they contain, and against made-up studies.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{BinaryScores, PairedTTest, Summary};

/// A normal draw: the sum of 12 uniform ones, less 6.
fn normal(generator: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64).sum::<f64>() - 6.0
}

#[test]
fn one_case_or_one_seed_leaves_the_paired_t_test() {
    let (own, other) = ([3.0, 4.5, 3.9, 5.0], [2.5, 4.0, 4.1, 4.2]);
    let test = PairedTTest::new(&other, &own).unwrap();
    let column = |values: &[f64]| values.iter().map(|&value| vec![value]).collect::<Vec<_>>();
    for difference in [
        CrossedDifference::of_values(&own, &other, Seeds::Paired).unwrap(),
        CrossedDifference::of_scores(&column(&own), &column(&other), Seeds::Paired).unwrap(),
        CrossedDifference::of_scores(&[own.to_vec()], &[other.to_vec()], Seeds::Independent).unwrap(),
    ] {
        assert!((difference.estimate - 0.4).abs() < 1e-12);
        assert!((difference.p_at_most(0.0) - test.p).abs() < 1e-12, "{difference:?}, {test:?}");
        assert_eq!((difference.p_at_least(0.0), difference.degrees_of_freedom), (1.0, 3.0));
        // The interval ends where the p-value is 0.05.
        let interval = difference.interval(0.95);
        assert!((difference.p_at_most(interval.low) - 0.05).abs() < 1e-9);
        assert!((difference.p_at_least(interval.high) - 0.05).abs() < 1e-9);
    }
}

#[test]
fn independent_seeds_have_welchs_interval() {
    let (own, other) = ([3.0, 4.5, 3.9, 5.0], [2.5, 4.0, 4.1]);
    let summary = |values: &[f64]| Summary::of(values).unwrap();
    let welch = crate::MeanDifference::welch(&summary(&own), &summary(&other), 0.95).unwrap();
    let ours = CrossedDifference::of_values(&own, &other, Seeds::Independent).unwrap().interval(0.95);
    assert!((ours.low - welch.low).abs() < 1e-12 && (ours.high - welch.high).abs() < 1e-12);
    assert!(CrossedDifference::of_values(&own, &other, Seeds::Paired).is_err());
}

#[test]
fn variances_over_seeds_and_cases_are_added() {
    let (own, other) = (vec![vec![1.0, 4.0], vec![3.0, 9.0]], vec![vec![0.0, 0.0], vec![1.0, 1.0]]);
    // Differences of the seeds: 2.5 and 5; of the cases: 1.5 and 6.
    let difference = CrossedDifference::of_scores(&own, &other, Seeds::Paired).unwrap();
    let (of_seeds, of_cases) = (2.5f64.powi(2) / 4.0, 4.5f64.powi(2) / 4.0);
    let variance: f64 = of_seeds + of_cases;
    assert!((difference.estimate - 3.75).abs() < 1e-12);
    assert!((difference.standard_error.powi(2) - variance).abs() < 1e-12);
    let degrees = variance.powi(2) / (of_seeds.powi(2) + of_cases.powi(2));
    assert!((difference.degrees_of_freedom - degrees).abs() < 1e-12);
    let times = difference.times(100.0);
    assert!((times.estimate - 375.0).abs() < 1e-9);
    assert!((times.p_at_most(0.0) - difference.p_at_most(0.0)).abs() < 1e-12);
}

#[test]
fn the_noise_of_seeds_is_what_methods_and_seeds_do_not_explain() {
    // Two methods: half of the variance of their differences.
    let (own, other) = (vec![1.0, 4.0, 4.0], vec![0.0, 1.0, 5.0]);
    let noise = SeedNoise::of(&[own.clone(), other.clone()]).unwrap().unwrap();
    let differences = Summary::of(&[1.0, 3.0, -1.0]).unwrap();
    assert!((noise.variance - differences.std.unwrap().powi(2) / 2.0).abs() < 1e-12);
    assert_eq!(noise.degrees_of_freedom, 2);
    let alone = CrossedDifference::of_values(&own, &other, Seeds::Paired).unwrap();
    let among = CrossedDifference::of_values(&own, &other, Seeds::PairedAmong(noise)).unwrap();
    assert!((alone.standard_error - among.standard_error).abs() < 1e-12);
    assert_eq!(alone.degrees_of_freedom, among.degrees_of_freedom);
    // Effects of methods and of seeds are no noise.
    let explained = [vec![1.0, 2.0, 5.0], vec![11.0, 12.0, 15.0], vec![0.0, 1.0, 4.0]];
    let none = SeedNoise::of(&explained).unwrap().unwrap();
    assert!(none.variance < 1e-24 && none.degrees_of_freedom == 4);
    let own_noise = CrossedDifference::of_values(&own, &other, Seeds::PairedAmong(none)).unwrap();
    assert!((own_noise.standard_error - alone.standard_error).abs() < 1e-12, "the larger one counts");
    let large = SeedNoise { variance: 6.0, degrees_of_freedom: 12 }.times(2.0);
    let difference = CrossedDifference::of_values(&own, &other, Seeds::PairedAmong(large)).unwrap();
    assert!((difference.standard_error.powi(2) - 16.0).abs() < 1e-12 && difference.degrees_of_freedom == 12.0);
    assert_eq!(SeedNoise::of(std::slice::from_ref(&own)).unwrap(), None);
    assert!(SeedNoise::of(&[own, vec![1.0]]).is_err());
}

#[test]
fn structural_components_are_shares_of_pairs() {
    let mut generator = ChaCha8Rng::seed_from_u64(3);
    let scores: Vec<f64> = (0..40).map(|_| (generator.next_u64() % 9) as f64).collect();
    let labels: Vec<bool> = (0..40).map(|case| case % 3 == 0).collect();
    let won = |case: usize, against: usize| {
        let (high, low) = if labels[case] { (case, against) } else { (against, case) };
        if scores[high] == scores[low] { 0.5 } else { f64::from(u8::from(scores[high] > scores[low])) }
    };
    let fast = placements(&scores, &labels);
    for case in 0..40 {
        let others: Vec<usize> = (0..40).filter(|&other| labels[other] != labels[case]).collect();
        let slow = others.iter().map(|&other| won(case, other)).sum::<f64>() / others.len() as f64;
        assert!((fast[case] - slow).abs() < 1e-12, "{case}");
    }
    let auroc = BinaryScores::new(&scores, &labels).unwrap().auroc();
    let zeros = vec![vec![0.0; 40]];
    let difference =
        CrossedDifference::of_aurocs(std::slice::from_ref(&scores), &zeros, &labels, Seeds::Paired).unwrap();
    assert!((difference.estimate - (auroc - 0.5)).abs() < 1e-12);
    // DeLong's variance of a single AUROC: that of a constant score is 0.
    let variance = |class: bool| {
        let of_class: Vec<f64> = (0..40).filter(|&case| labels[case] == class).map(|case| fast[case]).collect();
        Summary::of(&of_class).unwrap().std.unwrap().powi(2) / of_class.len() as f64
    };
    assert!((difference.standard_error.powi(2) - variance(true) - variance(false)).abs() < 1e-12);
    let undefined = CrossedDifference::of_aurocs(&[vec![0.1]], &[vec![0.2]], &[true], Seeds::Paired);
    assert!(matches!(undefined, Err(MetricError::Undefined { .. })));
}

/// How often intervals hold the true difference, 0, and p-values are below 0.001, for two of five methods in made-up studies of
/// `seeds` seeds and 20 cases with the standard deviations of seeds, of seeds of a method, of cases of a method, and of single scores.
fn coverage(seeds: usize, [seed, own_seed, case, single]: [f64; 4]) -> (f64, f64) {
    let (studies, cases) = (1000, 20);
    let mut generator = ChaCha8Rng::seed_from_u64(11);
    let (mut held, mut tail) = (0, 0);
    for _ in 0..studies {
        let mut draw = |count: usize, deviation: f64| -> Vec<f64> {
            (0..count).map(|_| deviation * normal(&mut generator)).collect()
        };
        let of_seeds = draw(seeds, seed);
        let methods = [0; 5].map(|_| -> Vec<Vec<f64>> {
            let (of_method, of_cases) = (draw(seeds, own_seed), draw(cases, case));
            let score = |at: usize, noise: Vec<f64>| -> Vec<f64> {
                let common = of_seeds[at] + of_method[at];
                noise.iter().zip(&of_cases).map(|(noise, case)| common + case + noise).collect()
            };
            (0..seeds).map(|at| score(at, draw(cases, single))).collect()
        });
        let values = methods.each_ref().map(|method| method.iter().map(|of_seed| mean(of_seed)).collect());
        let noise = SeedNoise::of(&values).unwrap().unwrap();
        let [own, other, ..] = &methods;
        let difference = CrossedDifference::of_scores(own, other, Seeds::PairedAmong(noise)).unwrap();
        let interval = difference.interval(0.95);
        held += usize::from(interval.low <= 0.0 && 0.0 <= interval.high);
        tail += usize::from(difference.p_at_most(0.0).min(difference.p_at_least(0.0)) < 0.001);
    }
    (held as f64 / f64::from(studies), tail as f64 / f64::from(studies))
}

#[test]
fn intervals_hold_what_they_promise() {
    for seeds in [2, 3, 5] {
        for deviations in [[2.0, 1.0, 0.0, 0.0], [2.0, 1.0, 2.0, 1.0], [0.0, 0.3, 3.0, 1.0], [0.0, 0.0, 1.0, 4.0]] {
            let (held, tail) = coverage(seeds, deviations);
            assert!(held > 0.935 && tail < 0.006, "{seeds} seeds, {deviations:?}: {held}, {tail}");
        }
    }
}

#[test]
fn equal_results_have_no_width() {
    let difference = CrossedDifference::of_values(&[2.0, 2.0], &[1.0, 1.0], Seeds::Paired).unwrap();
    assert_eq!((difference.interval(0.95).low, difference.interval(0.95).high), (1.0, 1.0));
    assert_eq!((difference.p_at_most(0.5), difference.p_at_most(1.0)), (0.0, 1.0));
    let single = CrossedDifference::of_values(&[2.0], &[1.0], Seeds::Paired).unwrap();
    assert_eq!(single.standard_error, 0.0, "nothing is known of other seeds");
    assert!(CrossedDifference::of_values(&[], &[1.0], Seeds::Independent).is_err());
    assert!(CrossedDifference::of_scores(&[vec![]], &[vec![]], Seeds::Paired).is_err());
    assert!(CrossedDifference::of_values(&[f64::NAN], &[1.0], Seeds::Paired).is_err());
}
