//! Metrics of classes, numbers and outlines against values computed by hand and against slow twins.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use mtcool_metrics::{ClassMap, ClassSet, ClassTable, Confusion, MetricError, Regression, hausdorff_95, quantile};
use proptest::prelude::*;

fn close(got: f64, want: f64) {
    assert!((got - want).abs() < 1e-12, "{got} instead of {want}");
}

#[test]
fn ratios_of_counts_by_hand() {
    let counts = Confusion { true_positives: 6, false_positives: 2, true_negatives: 9, false_negatives: 1 };
    close(counts.iou(), 6.0 / 9.0);
    close(counts.balanced_accuracy(), (6.0 / 7.0 + 9.0 / 11.0) / 2.0);
    assert!(!counts.is_empty() && Confusion::default().is_empty());
    assert_eq!(Confusion::default().iou(), 0.0);
}

#[test]
fn a_table_of_three_classes_by_hand() {
    // Rows of the true class: [3, 1, 0], [0, 2, 2], and class 2 does not occur.
    let target = [0, 0, 0, 0, 1, 1, 1, 1];
    let predicted = [0, 0, 0, 1, 1, 1, 2, 2];
    let table = ClassTable::new(&predicted, &target, 3).unwrap();
    close(table.accuracy(), 5.0 / 8.0);
    close(table.balanced_accuracy(), (3.0 / 4.0 + 2.0 / 4.0) / 2.0);
    let want = Confusion { true_positives: 2, false_positives: 1, true_negatives: 3, false_negatives: 2 };
    assert_eq!(table.against_rest(1), want);
    close(table.macro_f1(), (6.0 / 7.0 + 4.0 / 7.0) / 2.0);
    let counted = Confusion::count(predicted.iter().zip(target).map(|(&p, t)| (p == 1, t == 1)));
    assert_eq!(table.against_rest(1), counted);
    assert!(ClassTable::new(&[], &[], 2).unwrap().accuracy().is_nan());
    assert!(ClassTable::new(&[], &[], 2).unwrap().balanced_accuracy().is_nan());
    let error = ClassTable::new(&[0, 3], &[0, 1], 3).unwrap_err();
    assert!(matches!(error, MetricError::OutOfRange { index: 1, .. }), "{error}");
    assert!(ClassTable::new(&[0], &[], 3).is_err());
}

#[test]
fn agreement_of_numbers_by_hand() {
    let (predicted, target) = ([2.0, 4.0, 5.0], [1.0, 4.0, 7.0]);
    let numbers = Regression::new(&predicted, &target).unwrap();
    close(numbers.mean_absolute_error(), 1.0);
    // Squared errors 1 + 0 + 4; the targets lie 3, 0 and 3 away from their mean 4.
    close(numbers.r_squared(), 1.0 - 5.0 / 18.0);
    // Deviations (-5/3, 1/3, 4/3) and (-3, 0, 3): 9 / sqrt(42/9 * 18).
    close(numbers.pearson(), 9.0 / (42.0f64 / 9.0 * 18.0).sqrt());
    let constant = [3.0; 3];
    let flat = Regression::new(&constant, &target).unwrap();
    assert!(flat.pearson().is_nan());
    close(flat.r_squared(), 1.0 - (4.0 + 1.0 + 16.0) / 18.0);
    assert!(Regression::new(&predicted, &constant).unwrap().r_squared().is_nan());
    assert!(Regression::new(&[], &[]).unwrap().mean_absolute_error().is_nan());
    assert!(Regression::new(&[f64::NAN], &[1.0]).is_err() && Regression::new(&[1.0], &[]).is_err());
}

const POSITIVE: ClassSet = ClassSet::of(&[1]);

fn distance(prediction: &[u8], target: &[u8], width: usize, spacing: [f64; 2]) -> f64 {
    let map = |classes| ClassMap { classes, positive: POSITIVE };
    hausdorff_95(map(prediction), map(target), width, spacing).unwrap()
}

#[test]
fn distances_of_outlines_by_hand() {
    let blank = [0u8; 20];
    let single = |index: usize| {
        let mut map = blank;
        map[index] = 1;
        map
    };
    // Rows of 5: (0, 0) and (3, 4).
    close(distance(&single(0), &single(19), 5, [1.0, 1.0]), 5.0);
    close(distance(&single(0), &single(19), 5, [2.0, 0.5]), 6.0f64.hypot(2.0));
    close(distance(&single(7), &single(7), 5, [1.0, 1.0]), 0.0);
    close(distance(&blank, &blank, 5, [1.0, 1.0]), 0.0);
    // Nothing is predicted, or something where nothing is: the diagonal of the image.
    close(distance(&blank, &single(7), 5, [1.0, 1.0]), 4.0f64.hypot(5.0));
    close(distance(&single(7), &blank, 5, [1.0, 1.0]), 4.0f64.hypot(5.0));
    let map = ClassMap { classes: &blank, positive: POSITIVE };
    assert!(hausdorff_95(map, map, 6, [1.0, 1.0]).is_err() && hausdorff_95(map, map, 5, [0.0, 1.0]).is_err());
    assert!(hausdorff_95(map, ClassMap { classes: &blank[..5], positive: POSITIVE }, 5, [1.0, 1.0]).is_err());
}

/// The definition, with all pairs of pixels.
fn distance_by_pairs(prediction: &[u8], target: &[u8], width: usize, [down, across]: [f64; 2]) -> f64 {
    let height = target.len() / width;
    let outline = |map: &[u8]| -> Vec<[f64; 2]> {
        let is = |row: isize, column: isize| {
            let inside = (0..height as isize).contains(&row) && (0..width as isize).contains(&column);
            inside && map[row as usize * width + column as usize] == 1
        };
        let pixels = (0..height as isize).flat_map(|row| (0..width as isize).map(move |column| (row, column)));
        let edge = pixels.filter(|&(row, column)| {
            let near = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)];
            is(row, column) && near.iter().any(|&(row, column)| !is(row, column))
        });
        edge.map(|(row, column)| [row as f64 * down, column as f64 * across]).collect()
    };
    let (a, b) = (outline(prediction), outline(target));
    if a.is_empty() && b.is_empty() {
        return 0.0;
    }
    if a.is_empty() || b.is_empty() {
        return (height as f64 * down).hypot(width as f64 * across);
    }
    let directed = |from: &[[f64; 2]], to: &[[f64; 2]]| {
        let nearest = |p: &[f64; 2]| to.iter().map(|q| (p[0] - q[0]).hypot(p[1] - q[1])).fold(f64::INFINITY, f64::min);
        quantile(&from.iter().map(nearest).collect::<Vec<_>>(), 0.95)
    };
    directed(&a, &b).max(directed(&b, &a))
}

proptest! {
    #[test]
    fn distances_of_outlines_are_those_of_all_pairs(
        (width, maps) in (1usize..9, 1usize..9).prop_flat_map(|(width, height)| {
            (Just(width), prop::collection::vec(prop::collection::vec(0u8..2, width * height), 2))
        }),
        down in 0.2f64..3.0,
        across in 0.2f64..3.0,
    ) {
        let got = distance(&maps[0], &maps[1], width, [down, across]);
        let want = distance_by_pairs(&maps[0], &maps[1], width, [down, across]);
        prop_assert!((got - want).abs() < 1e-9, "{} instead of {}", got, want);
        let swapped = distance(&maps[1], &maps[0], width, [down, across]);
        prop_assert!((got - swapped).abs() < 1e-12);
    }
}
