//! Paired comparisons of methods on the same test images, since three or five seeds alone are too few for a test.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;

use super::row::TableRow;
use super::scores::{Scores, mean_scores};
use crate::suite::{Column, Name};
use mtcool_metrics::{PairedTTest, WilcoxonTest, holm};

/// The comparison of the subject with another method.
pub struct Comparison {
    /// The subject's label.
    pub subject: Name,
    /// The other method's label.
    pub method: Name,
    /// Number of finished runs of the subject and of the other method.
    pub runs: (usize, usize),
    /// One test per column; `None` where the metric is not defined for single images.
    pub pairs: Vec<(Column, Option<Paired>)>,
}

/// A paired test over images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paired {
    /// Number of images for which both methods have results.
    pub images: usize,
    /// Mean of the subject's score minus the other method's score, in the metric's unit.
    pub difference: f64,
    /// The two-sided p-value; 1 if no image differs.
    pub p: f64,
    /// `p` after Holm's correction for all comparisons of the table.
    pub adjusted_p: f64,
}

/// Compares the method called `subject`, or the first row with finished runs if that method has none, with every other row that has
/// finished runs.
///
/// # Errors
/// If a run's files are damaged.
pub(super) fn compare(rows: &[TableRow], columns: &[Column], subject: &str) -> Result<Vec<Comparison>> {
    let with_runs = || rows.iter().filter(|row| row.runs > 0);
    let subject = with_runs().find(|row| row.method.name == subject).or_else(|| with_runs().next());
    let Some(subject) = subject else { return Ok(Vec::new()) };
    let own = columns.iter().map(|column| mean_scores(&subject.folders, column)).collect::<Result<Vec<_>>>()?;
    if own.iter().all(BTreeMap::is_empty) {
        return Ok(Vec::new());
    }
    let mut comparisons = Vec::new();
    for row in with_runs().filter(|row| row.method.name != subject.method.name) {
        let pair =
            |(column, own): (&Column, &Scores)| Ok((column.clone(), paired(own, &mean_scores(&row.folders, column)?)));
        let pairs = columns.iter().zip(&own).map(pair).collect::<Result<_>>()?;
        let runs = (subject.folders.len(), row.folders.len());
        let (subject, method) = (subject.method.label.clone(), row.method.label.clone());
        comparisons.push(Comparison { subject, method, runs, pairs });
    }
    correct(&mut comparisons)?;
    Ok(comparisons)
}

/// The paired test of `own` runs against `other` runs over the images that all of them were tested on, not corrected; `None` if the
/// metric is not defined for single images.
///
/// # Errors
/// If a run's files are damaged.
pub fn compare_runs(own: &[PathBuf], other: &[PathBuf], column: &Column) -> Result<Option<Paired>> {
    Ok(paired(&mean_scores(own, column)?, &mean_scores(other, column)?))
}

/// Corrects the p-values of all methods and columns together.
fn correct(comparisons: &mut [Comparison]) -> Result<()> {
    let tests =
        comparisons.iter_mut().flat_map(|comparison| &mut comparison.pairs).filter_map(|(_, pair)| pair.as_mut());
    let tests: Vec<&mut Paired> = tests.collect();
    let adjusted = holm(&tests.iter().map(|test| test.p).collect::<Vec<_>>())?;
    for (test, adjusted_p) in tests.into_iter().zip(adjusted) {
        test.adjusted_p = adjusted_p;
    }
    Ok(())
}

/// The other method's label, followed by the numbers of runs where at least one method has a single run: its images tell nothing
/// about networks that are trained with other seeds.
pub(super) fn label_with_runs(comparison: &Comparison) -> String {
    match comparison.runs {
        (1, 1) => format!("{} (one network each)", comparison.method),
        (own, other) if own.min(other) == 1 => format!("{} ({own} and {other} networks)", comparison.method),
        _ => comparison.method.to_string(),
    }
}

/// A note that names the methods with a different number of runs than the subject; `None` if there are none.
pub(super) fn note_on_runs(comparisons: &[Comparison]) -> Option<String> {
    let unequal: Vec<&Comparison> =
        comparisons.iter().filter(|comparison| comparison.runs.0 != comparison.runs.1).collect();
    let first = unequal.first()?;
    let others: Vec<String> = unequal.iter().map(|other| format!("{} has {}", other.method, other.runs.1)).collect();
    Some(format!(
        "The numbers of runs differ: {} has {}, {}. A mean of fewer runs varies more from seed to seed.",
        first.subject,
        first.runs.0,
        others.join(", ")
    ))
}

fn paired(own: &Scores, other: &Scores) -> Option<Paired> {
    let both: (Vec<f64>, Vec<f64>) = own.iter().filter_map(|(image, score)| Some((other.get(image)?, score))).unzip();
    let t_test = PairedTTest::new(&both.0, &both.1).ok()?;
    let p = match WilcoxonTest::new(&both.0, &both.1) {
        Ok(test) => test.p,
        Err(_) => t_test.p,
    };
    Some(Paired { images: both.0.len(), difference: t_test.mean_difference, p, adjusted_p: p })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_paired_by_name() {
        let scores = |pairs: &[(&str, f64)]| pairs.iter().map(|&(image, score)| (image.to_owned(), score)).collect();
        let own: Scores = scores(&[("a", 1.0), ("b", 4.0), ("c", 9.0), ("only here", 50.0)]);
        let other: Scores = scores(&[("only there", -7.0), ("a", 0.0), ("b", 2.0), ("c", 6.0)]);
        let pair = paired(&own, &other).unwrap();
        assert_eq!((pair.images, pair.difference), (3, 2.0));
        // All three signs agree: 2 of the 8 equally likely outcomes are as extreme.
        assert_eq!(pair.p, 0.25);
        assert_eq!(paired(&own, &own).unwrap().p, 1.0);
        assert_eq!(paired(&own, &scores(&[("x", 1.0)])), None);
    }

    /// With three runs, one more hit is 33.333333333333336 or 33.33333333333333 per cent more.
    #[test]
    fn images_tie_that_differ_by_the_same_number_of_hits() {
        let hits = [(0, 1), (1, 2), (1, 2), (2, 1), (0, 3), (3, 1), (2, 3), (0, 2), (3, 3), (1, 0), (0, 1)];
        let scores = |of: &dyn Fn(&(i32, i32)) -> f64| -> Scores {
            hits.iter().enumerate().map(|(image, hits)| (image.to_string(), of(hits))).collect()
        };
        let mean = |hits: i32| f64::from(hits) * 100.0 / 3.0;
        let of_means = paired(&scores(&|hits| mean(hits.1)), &scores(&|hits| mean(hits.0))).unwrap();
        let of_hits = paired(&scores(&|hits| f64::from(hits.1)), &scores(&|hits| f64::from(hits.0))).unwrap();
        assert_eq!(of_means.p, of_hits.p);
    }

    #[test]
    fn a_single_network_stands_in_the_line_of_its_p_values() {
        let label = |runs| {
            let (subject, method) = ("MT-COOL".into(), "Joint".into());
            label_with_runs(&Comparison { subject, method, runs, pairs: Vec::new() })
        };
        assert_eq!(label((1, 1)), "Joint (one network each)");
        assert_eq!(label((3, 1)), "Joint (3 and 1 networks)");
        assert_eq!([label((2, 2)), label((3, 5))], ["Joint", "Joint"]);
    }

    #[test]
    fn p_values_are_corrected_for_all_columns_and_methods() {
        let column = |label: &'static str| Column::new("task", "metric", label);
        let test = |p| Some(Paired { images: 9, difference: 1.0, p, adjusted_p: p });
        let comparison = |pairs| Comparison { subject: "MT-COOL".into(), method: "Joint".into(), runs: (1, 1), pairs };
        let mut comparisons = [
            comparison(vec![(column("a"), test(0.01)), (column("b"), None), (column("c"), test(0.04))]),
            comparison(vec![(column("a"), test(0.03)), (column("b"), None), (column("c"), test(0.005))]),
        ];
        correct(&mut comparisons).unwrap();
        let adjusted = comparisons.iter().flat_map(|comparison| &comparison.pairs).filter_map(|(_, pair)| *pair);
        let adjusted: Vec<(f64, f64)> = adjusted.map(|pair| (pair.p, pair.adjusted_p)).collect();
        // In ascending order 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04, which may not be below the one before.
        for (got, want) in adjusted.iter().zip([(0.01, 0.03), (0.04, 0.06), (0.03, 0.06), (0.005, 0.02)]) {
            assert!(got.0 == want.0 && (got.1 - want.1).abs() < 1e-15, "{adjusted:?}");
        }
    }

    #[test]
    fn methods_with_another_number_of_runs_are_named() {
        let comparison = |method: &'static str, runs| Comparison {
            subject: "MT-COOL".into(),
            method: method.into(),
            runs,
            pairs: Vec::new(),
        };
        assert_eq!(note_on_runs(&[comparison("Joint", (3, 3))]), None);
        let others = [comparison("Joint", (3, 3)), comparison("MGDA", (3, 5)), comparison("PCGrad", (3, 1))];
        let note = note_on_runs(&others).unwrap();
        assert!(note.starts_with("The numbers of runs differ: MT-COOL has 3, MGDA has 5, PCGrad has 1."), "{note}");
    }
}
