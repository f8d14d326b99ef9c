//! Mean ranks and delta-m against their definitions and against values computed by hand.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use mtcool_metrics::{Better, TaskFigure, delta_m, mean_ranks};
use proptest::prelude::*;

fn better() -> impl Strategy<Value = Better> {
    prop_oneof![Just(Better::Larger), Just(Better::Smaller)]
}

/// Columns of small whole numbers, so that ties are common: `[columns][methods]`.
fn columns() -> impl Strategy<Value = Vec<(Vec<f64>, Better)>> {
    (1usize..8).prop_flat_map(|methods| {
        let figures = prop::collection::vec((-3i8..4).prop_map(f64::from), methods);
        prop::collection::vec((figures, better()), 1..6)
    })
}

fn ranks_of(columns: &[(Vec<f64>, Better)]) -> Vec<f64> {
    mean_ranks(&columns.iter().map(|(figures, better)| (&figures[..], *better)).collect::<Vec<_>>()).unwrap()
}

/// Rank by counting: those that are better, and half of the others that are equal.
fn rank_by_counting(figures: &[f64], better: Better, method: usize) -> f64 {
    let is_better = |other: f64| match better {
        Better::Larger => other > figures[method],
        Better::Smaller => other < figures[method],
    };
    let before = figures.iter().filter(|other| is_better(**other)).count() as f64;
    let equal = figures.iter().filter(|other| **other == figures[method]).count() as f64;
    before + (equal + 1.0) / 2.0
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mean_ranks_are_found_by_counting(columns in columns()) {
        let got = ranks_of(&columns);
        for (method, got) in got.iter().enumerate() {
            let ranks = columns.iter().map(|(figures, better)| rank_by_counting(figures, *better, method));
            prop_assert_eq!(*got, ranks.sum::<f64>() / columns.len() as f64);
        }
        // The ranks 1 ..= M add up to M (M + 1) / 2 in every column.
        let methods = got.len() as f64;
        prop_assert!((got.iter().sum::<f64>() - methods * (methods + 1.0) / 2.0).abs() < 1e-9);
    }

    #[test]
    fn mean_ranks_turn_around_with_the_direction(columns in columns()) {
        let turn = |better: &Better| if *better == Better::Larger { Better::Smaller } else { Better::Larger };
        let turned: Vec<_> = columns.iter().map(|(figures, better)| (figures.clone(), turn(better))).collect();
        for (a, b) in ranks_of(&columns).iter().zip(ranks_of(&turned)) {
            prop_assert!((a + b - (columns[0].0.len() as f64 + 1.0)).abs() < 1e-9);
        }
    }

    #[test]
    fn delta_m_is_its_formula_and_does_not_depend_on_units(tasks in prop::collection::vec((0.0f64..100.0, 0.5f64..100.0, better()), 1..6), unit in 0.1f64..10.0) {
        let scaled = |unit: f64| -> Vec<TaskFigure> {
            tasks.iter().map(|&(method, baseline, better)| TaskFigure { method: method * unit, baseline: baseline * unit, better }).collect()
        };
        let got = delta_m(&scaled(1.0)).unwrap().unwrap();
        let mut want = 0.0;
        for (method, baseline, better) in &tasks {
            let exponent = i32::from(*better == Better::Smaller);
            want += (-1f64).powi(exponent) * (method - baseline) / baseline * 100.0 / tasks.len() as f64;
        }
        prop_assert!((got - want).abs() < 1e-9 * (1.0 + want.abs()), "{} {}", got, want);
        let in_units = delta_m(&scaled(unit)).unwrap().unwrap();
        prop_assert!((got - in_units).abs() < 1e-9 * (1.0 + got.abs()), "{} {}", got, in_units);
    }
}

#[test]
fn figures_that_differ_by_rounding_share_their_rank() {
    // 33.333333333333336 and 33.33333333333333.
    let (a, b) = (100.0 / 3.0, 100.0 - 200.0 / 3.0);
    assert_ne!(a, b);
    assert_eq!(mean_ranks(&[(&[a, b, 0.0], Better::Larger)]).unwrap(), [1.5, 1.5, 3.0]);
    assert_eq!(mean_ranks(&[(&[1.0, 1.0 + 1e-12], Better::Smaller)]).unwrap(), [1.0, 2.0], "that is no rounding");
}

#[test]
fn mean_ranks_name_what_they_cannot_rank() {
    assert_eq!(mean_ranks(&[]).unwrap_err().to_string(), "0 columns: expected at least 1");
    let error = mean_ranks(&[(&[1.0, 2.0], Better::Larger), (&[1.0], Better::Larger)]).unwrap_err();
    assert!(error.to_string().starts_with("1 figures of a column: expected 2"), "{error}");
    let error = mean_ranks(&[(&[1.0, f64::NAN], Better::Larger)]).unwrap_err();
    assert_eq!(error.to_string(), "figure number 1 is NaN: expected a finite number");
    assert_eq!(mean_ranks(&[(&[], Better::Larger)]).unwrap(), []);
}

#[test]
fn delta_m_is_the_value_computed_by_hand() {
    // 10 % better, 25 % worse, 50 % better: 35 / 3.
    let figure = |method, baseline, better| TaskFigure { method, baseline, better };
    let tasks =
        [figure(88.0, 80.0, Better::Larger), figure(0.5, 0.4, Better::Smaller), figure(1.0, 2.0, Better::Smaller)];
    assert!((delta_m(&tasks).unwrap().unwrap() - 35.0 / 3.0).abs() < 1e-12);
    assert_eq!(delta_m(&[figure(0.0, 2.0, Better::Larger)]).unwrap(), Some(-100.0));
    assert_eq!(delta_m(&[figure(2.0, 2.0, Better::Smaller)]).unwrap(), Some(0.0));
}

#[test]
fn delta_m_has_no_value_relative_to_zero_and_refuses_other_baselines() {
    let figure = |method, baseline| TaskFigure { method, baseline, better: Better::Larger };
    for tasks in [
        [figure(1.0, 2.0), figure(1.0, 0.0)],
        [figure(1.0, 2.0), figure(0.0, 0.0)],
        [figure(1.0, -0.0), figure(1.0, 2.0)],
    ] {
        assert_eq!(delta_m(&tasks).unwrap(), None);
    }
    assert_eq!(delta_m(&[figure(1e200, 1e-200)]).unwrap(), None, "the quotient is out of range");
    let message = delta_m(&[figure(1.0, 2.0), figure(1.0, -2.0)]).unwrap_err().to_string();
    assert_eq!(message, "baseline's figure number 1 is -2: expected 0 or more, since changes are relative to it");
    assert_eq!(delta_m(&[]).unwrap_err().to_string(), "0 tasks: expected at least 1");
    assert!(delta_m(&[figure(f64::NAN, 1.0)]).is_err() && delta_m(&[figure(1.0, f64::INFINITY)]).is_err());
}
