//! [`Sample`]: the results of two methods on the same images, network by network, and their difference.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use mtcool_metrics::{BinaryScores, CrossedDifference, MetricError, SeedNoise, Seeds};

use crate::record::{read_predictions, read_scores};
use crate::report::row::TableRow;
use crate::report::scores::{Scores, run_values, scores_of_run};
use crate::suite::Column;

/// The results of two methods, `[own, other]`.
pub(super) enum Sample {
    /// A metric that is a mean over images: scores `[seeds, images]` of each method.
    Images([Vec<Vec<f64>>; 2]),
    /// An AUROC: the probabilities `[seeds, images]` of each method, and which images are positive, `[images]`.
    Ranked([Vec<Vec<f64>>; 2], Vec<bool>),
    /// A metric that is only known for whole runs: `[seeds]` of each method.
    Runs([Vec<f64>; 2]),
}

impl Sample {
    /// The results of two rows in `column` on `split`; `None` if a row has none. Images that a run lacks are left out.
    ///
    /// # Errors
    /// If a file of a run is damaged.
    pub(super) fn of(rows: [&TableRow; 2], column: &Column, split: &str) -> Result<Option<Self>> {
        if let Some(scores) = paired(rows, |run| image_scores(run, column))? {
            return Ok(Some(Self::Images(scores.map(|runs| runs.into_iter().map(values).collect()))));
        }
        if column.metric == "auroc"
            && let Some(ranked) = paired(rows, |run| probabilities(run, column))?
        {
            let labels = ranked[0].first().into_iter().flat_map(|run| run.values().map(|&(_, label)| label)).collect();
            let scores = |run: BTreeMap<String, (f64, bool)>| run.into_values().map(|(score, _)| score).collect();
            return Ok(Some(Self::Ranked(ranked.map(|runs| runs.into_iter().map(scores).collect()), labels)));
        }
        let runs = rows.map(|row| run_values(&row.histories, &row.stored, column, split));
        let are_known = runs.iter().all(|values| !values.is_empty() && values.iter().all(|value| value.is_finite()));
        Ok(are_known.then_some(Self::Runs(runs)))
    }

    /// Number of images; `None` if only whole runs are known.
    pub(super) fn images(&self) -> Option<usize> {
        match self {
            Self::Images(scores) | Self::Ranked(scores, _) => scores[0].first().map(Vec::len),
            Self::Runs(_) => None,
        }
    }

    /// The difference own minus other of the means over the networks.
    ///
    /// # Errors
    /// [`MetricError::Undefined`] if a class is absent, so that there is no AUROC.
    pub(super) fn difference(&self, seeds: Seeds) -> Result<CrossedDifference, MetricError> {
        match self {
            Self::Images([own, other]) => CrossedDifference::of_scores(own, other, seeds),
            Self::Ranked([own, other], labels) => {
                let seeds = match seeds {
                    Seeds::PairedAmong(noise) => Seeds::PairedAmong(noise.times(0.01)),
                    seeds => seeds,
                };
                CrossedDifference::of_aurocs(own, other, labels, seeds).map(|difference| difference.times(100.0))
            }
            Self::Runs([own, other]) => CrossedDifference::of_values(own, other, seeds),
        }
    }
}

impl Sample {
    /// The metric of each network of the first method `[seeds]`.
    fn of_networks(self) -> Result<Vec<f64>, MetricError> {
        let mean = |scores: &Vec<f64>| scores.iter().sum::<f64>() / scores.len() as f64;
        match self {
            Self::Images([own, _]) => Ok(own.iter().map(mean).collect()),
            Self::Ranked([own, _], labels) => {
                own.iter().map(|scores| Ok(100.0 * BinaryScores::new(scores, &labels)?.auroc())).collect()
            }
            Self::Runs([own, _]) => Ok(own),
        }
    }
}

fn seeds(row: &TableRow) -> Vec<u64> {
    row.stored.iter().map(|run| run.seed).collect()
}

/// For each set of seeds that rows have: how networks of two such rows belong together in one column.
pub(super) struct SeedGroups(BTreeMap<Vec<u64>, Seeds>);

impl SeedGroups {
    /// Of the `rows` with results in `column`.
    ///
    /// # Errors
    /// If a file of a run is damaged.
    pub(super) fn of(rows: &[TableRow], column: &Column, split: &str) -> Result<Self> {
        let mut values: BTreeMap<Vec<u64>, Vec<Vec<f64>>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.runs > 0) {
            let Some(sample) = Sample::of([row, row], column, split)? else { continue };
            let of_row = sample.of_networks().unwrap_or_default();
            if of_row.len() == row.runs && of_row.iter().all(|value| value.is_finite()) {
                values.entry(seeds(row)).or_default().push(of_row);
            }
        }
        let seeds_of = |(seeds, values): (Vec<u64>, Vec<Vec<f64>>)| -> Result<(Vec<u64>, Seeds)> {
            Ok((seeds, SeedNoise::of(&values)?.map_or(Seeds::Paired, Seeds::PairedAmong)))
        };
        Ok(Self(values.into_iter().map(seeds_of).collect::<Result<_>>()?))
    }

    /// How the networks of two rows belong together: the same seeds begin with the same weights and see the same data.
    pub(super) fn of_pair(&self, [own, other]: [&TableRow; 2]) -> Seeds {
        let own_seeds = seeds(own);
        if own_seeds != seeds(other) || own.runs != other.runs {
            return Seeds::Independent;
        }
        self.0.get(&own_seeds).copied().unwrap_or(Seeds::Paired)
    }
}

/// Values by the name of their image.
type ByImage<T> = BTreeMap<String, T>;

/// What `read` finds in each run of both rows, for the images that all these runs have; `None` if there are none.
fn paired<T: Clone>(
    rows: [&TableRow; 2],
    read: impl Fn(&Path) -> Result<BTreeMap<String, T>>,
) -> Result<Option<[Vec<ByImage<T>>; 2]>> {
    let of_row = |row: &TableRow| row.folders.iter().map(|run| read(run)).collect::<Result<Vec<_>>>();
    let mut found = [of_row(rows[0])?, of_row(rows[1])?];
    let Some(mut common) = found[0].first().map(|run| run.keys().cloned().collect::<Vec<String>>()) else {
        return Ok(None);
    };
    common.retain(|image| found.iter().flatten().all(|run| run.contains_key(image)));
    if common.is_empty() || found[1].is_empty() {
        return Ok(None);
    }
    for run in found.iter_mut().flatten() {
        run.retain(|image, _| common.binary_search(image).is_ok());
    }
    Ok(Some(found))
}

fn values(scores: Scores) -> Vec<f64> {
    scores.into_values().collect()
}

/// The scores of single images whose mean is the metric of `column`; empty if it is no such mean.
fn image_scores(run: &Path, column: &Column) -> Result<Scores> {
    let class = match &*column.metric {
        "sensitivity" => 1,
        "specificity" => 0,
        _ => {
            let mut scores = scores_of_run(run, column)?;
            scores.retain(|_, score| score.is_finite());
            return Ok(scores);
        }
    };
    let predictions = read_predictions(&run.join("predictions.parquet"), &column.task)?;
    let of_class = predictions.into_iter().filter(|prediction| prediction.target == class);
    Ok(of_class.map(|p| (p.index.to_string(), if p.predicted == class { 100.0 } else { 0.0 })).collect())
}

/// The probability of each image with its true class; empty if the run has not stored both for the same images.
fn probabilities(run: &Path, column: &Column) -> Result<BTreeMap<String, (f64, bool)>> {
    let probabilities = read_scores(run, &column.task, "probability")?;
    let predictions = read_predictions(&run.join("predictions.parquet"), &column.task)?;
    if probabilities.len() != predictions.len() {
        return Ok(BTreeMap::new());
    }
    // Both lists are in the order of evaluation.
    let both = probabilities.into_iter().zip(predictions);
    Ok(both.map(|((image, probability), prediction)| (image, (probability, prediction.target == 1))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_class_has_no_auroc() {
        let healthy = Sample::Ranked([vec![vec![0.1, 0.2]], vec![vec![0.3, 0.1]]], vec![false, false]);
        assert!(matches!(healthy.difference(Seeds::Paired), Err(MetricError::Undefined { .. })));
    }

    #[test]
    fn aurocs_are_in_per_cent() {
        let labels = vec![true, true, false];
        let sample = Sample::Ranked([vec![vec![0.9, 0.8, 0.7]], vec![vec![0.9, 0.1, 0.7]]], labels);
        assert!((sample.difference(Seeds::Paired).unwrap().estimate - 50.0).abs() < 1e-9);
    }

    #[test]
    fn only_images_that_every_run_has_are_compared() {
        let mut rows = [0, 1].map(|_| TableRow::example("joint", 1.0, Vec::new()));
        rows[0].folders = vec!["a".into(), "b".into()];
        rows[1].folders = vec!["c".into()];
        let read = |run: &Path| -> Result<BTreeMap<String, f64>> {
            let images: &[&str] = match run.to_str() {
                Some("a") => &["1", "2", "3"],
                Some("b") => &["3", "2"],
                _ => &["4", "3", "2"],
            };
            Ok(images.iter().map(|image| ((*image).to_owned(), image.parse::<f64>().unwrap())).collect())
        };
        let found = paired([&rows[0], &rows[1]], read).unwrap().unwrap();
        for run in found.iter().flatten() {
            assert_eq!(run.values().copied().collect::<Vec<f64>>(), [2.0, 3.0]);
        }
        rows[1].folders.clear();
        assert!(paired([&rows[0], &rows[1]], read).unwrap().is_none());
    }
}
