//! [`Sample`]: the results of two methods on the same images, network by network, and the resamples of their difference.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use mtcool_metrics::{Bootstrap, MetricError, Resamples};

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

    /// The difference own minus other of the means over the networks, on resamples of seeds and images. Each resample draws the
    /// seeds of each method and the images of both together.
    ///
    /// # Errors
    /// [`MetricError::Undefined`] if a class is absent, so that there is no AUROC, or almost absent, so that there is none on more
    /// than half of the resamples.
    pub(super) fn resample(&self, bootstrap: &Bootstrap) -> Result<Resamples, MetricError> {
        match self {
            Self::Images([own, other]) => resample_means(own, other, bootstrap),
            Self::Ranked([own, other], labels) => resample_aurocs(own, other, labels, bootstrap),
            Self::Runs([own, other]) => bootstrap.resample(&[other.len(), own.len()], |drawn| {
                let mean = |values: &[f64], drawn: &[usize]| mean(drawn.iter().map(|&seed| values[seed]));
                Some(mean(own, &drawn[1]) - mean(other, &drawn[0]))
            }),
        }
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

/// As [`Bootstrap::difference_over_seeds`], several times faster for many images with few different results: images on which all
/// networks have the same score do not change the difference, whatever is drawn.
fn resample_means(own: &[Vec<f64>], other: &[Vec<f64>], bootstrap: &Bootstrap) -> Result<Resamples, MetricError> {
    let images = own.first().map_or(0, Vec::len);
    let is_constant = |image: usize| own.iter().chain(other).all(|seed| seed[image] == own[0][image]);
    let varying: Vec<usize> = (0..images).filter(|&image| !is_constant(image)).collect();
    let mut place = vec![None; images];
    varying.iter().enumerate().for_each(|(at, &image)| place[image] = Some(at));
    let mut counts = vec![0.0; varying.len()];
    bootstrap.resample(&[other.len(), own.len(), images], |drawn| {
        counts.fill(0.0);
        drawn[2].iter().filter_map(|&image| place[image]).for_each(|at| counts[at] += 1.0);
        let of_seed =
            |seed: &[f64]| varying.iter().zip(&counts).map(|(&image, count)| count * seed[image]).sum::<f64>();
        let of_method = |seeds: &[Vec<f64>], drawn: &[usize]| mean(drawn.iter().map(|&seed| of_seed(&seeds[seed])));
        Some((of_method(own, &drawn[1]) - of_method(other, &drawn[0])) / images as f64)
    })
}

fn resample_aurocs(
    own: &[Vec<f64>],
    other: &[Vec<f64>],
    labels: &[bool],
    bootstrap: &Bootstrap,
) -> Result<Resamples, MetricError> {
    let ranked = |seeds: &[Vec<f64>]| seeds.iter().map(|seed| Ranking::of(seed, labels)).collect::<Vec<_>>();
    let (own, other) = (ranked(own), ranked(other));
    let mut counts = vec![0.0; labels.len()];
    bootstrap.resample(&[other.len(), own.len(), labels.len()], |drawn| {
        counts.fill(0.0);
        drawn[2].iter().for_each(|&image| counts[image] += 1.0);
        let of_method = |seeds: &[Ranking], drawn: &[usize]| {
            let aurocs = drawn.iter().map(|&seed| seeds[seed].auroc(&counts)).collect::<Option<Vec<f64>>>()?;
            Some(100.0 * mean(aurocs.into_iter()))
        };
        Some(of_method(&own, &drawn[1])? - of_method(&other, &drawn[0])?)
    })
}

/// The images of one network in ascending order of their probabilities, grouped by equal ones: (image, whether it is positive).
struct Ranking(Vec<Vec<(usize, bool)>>);

impl Ranking {
    fn of(probabilities: &[f64], labels: &[bool]) -> Self {
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
        let equal = order.chunk_by(|&a, &b| probabilities[a] == probabilities[b]);
        Self(equal.map(|group| group.iter().map(|&image| (image, labels[image])).collect()).collect())
    }

    /// The AUROC of a sample that holds each image as often as `counts` says; `None` if a class is absent from it.
    fn auroc(&self, counts: &[f64]) -> Option<f64> {
        let (mut positives, mut negatives, mut won) = (0.0, 0.0, 0.0);
        for group in &self.0 {
            let count = |is_positive: bool| {
                group.iter().filter(|(_, label)| *label == is_positive).map(|&(image, _)| counts[image]).sum::<f64>()
            };
            let (positive, negative) = (count(true), count(false));
            won += positive * (negatives + negative / 2.0);
            positives += positive;
            negatives += negative;
        }
        (positives > 0.0 && negatives > 0.0).then(|| won / (positives * negatives))
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use mtcool_metrics::BinaryScores;

    use super::*;

    /// Pseudo-random numbers below `levels`.
    fn numbers(seed: u64, levels: u64) -> impl FnMut() -> f64 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % levels) as f64
        }
    }

    fn table(seeds: usize, images: usize, draw: &mut impl FnMut() -> f64) -> Vec<Vec<f64>> {
        (0..seeds).map(|_| (0..images).map(|_| draw()).collect()).collect()
    }

    #[test]
    fn images_on_which_all_agree_do_not_change_the_difference() {
        let bootstrap = Bootstrap { resamples: 300, ..Bootstrap::default() };
        let mut draw = numbers(1, 3);
        let (mut own, mut other) = (table(3, 40, &mut draw), table(2, 40, &mut draw));
        for seed in own.iter_mut().chain(&mut other) {
            seed[10..30].fill(7.0);
        }
        let slow = bootstrap.difference_over_seeds(&other, &own).unwrap();
        let fast = resample_means(&own, &other, &bootstrap).unwrap().interval(bootstrap.confidence);
        for (fast, slow) in [(fast.estimate, slow.estimate), (fast.low, slow.low), (fast.high, slow.high)] {
            assert!((fast - slow).abs() < 1e-12, "{fast}, {slow}");
        }
        assert!(fast.low < fast.estimate && fast.estimate < fast.high);
    }

    #[test]
    fn aurocs_are_those_of_the_drawn_images() {
        let bootstrap = Bootstrap { resamples: 200, ..Bootstrap::default() };
        let mut draw = numbers(2, 6);
        let (own, other) = (table(2, 30, &mut draw), table(3, 30, &mut draw));
        let labels: Vec<bool> = (0..30).map(|image| image % 4 == 0).collect();
        let slow = bootstrap.resample(&[3, 2, 30], |drawn| {
            let auroc = |seed: &[f64]| {
                let scores: Vec<f64> = drawn[2].iter().map(|&image| seed[image]).collect();
                let labels: Vec<bool> = drawn[2].iter().map(|&image| labels[image]).collect();
                Some(BinaryScores::new(&scores, &labels).ok()?.auroc()).filter(|auroc| auroc.is_finite())
            };
            let of = |seeds: &[Vec<f64>], drawn: &[usize]| {
                let aurocs = drawn.iter().map(|&seed| auroc(&seeds[seed])).collect::<Option<Vec<f64>>>()?;
                Some(100.0 * mean(aurocs.into_iter()))
            };
            Some(of(&own, &drawn[1])? - of(&other, &drawn[0])?)
        });
        let slow = slow.unwrap().interval(0.95);
        let fast = resample_aurocs(&own, &other, &labels, &bootstrap).unwrap().interval(0.95);
        for (fast, slow) in [(fast.estimate, slow.estimate), (fast.low, slow.low), (fast.high, slow.high)] {
            assert!((fast - slow).abs() < 1e-9, "{fast}, {slow}");
        }
    }

    #[test]
    fn an_absent_class_has_no_auroc() {
        let healthy = Sample::Ranked([vec![vec![0.1, 0.2]], vec![vec![0.3, 0.1]]], vec![false, false]);
        assert!(matches!(healthy.resample(&Bootstrap::default()), Err(MetricError::Undefined { .. })));
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
