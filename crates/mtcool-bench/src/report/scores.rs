//! Scores of single images, of one run or as means over a method's runs, and the values of whole runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::record::{Row, StoredRun, final_rows, read_hits, read_scores};
use crate::suite::Column;

/// One score per image, by the image's name, in the unit of the metric.
pub(super) type Scores = BTreeMap<String, f64>;

/// The scores of the run in `folder`; empty where the metric is not defined for single images.
///
/// # Errors
/// If a file of the run is damaged.
pub(super) fn scores_of_run(folder: &Path, column: &Column) -> Result<Scores> {
    // A mean absolute error is the mean of the errors of single cases.
    let metric = if column.metric == "mae" { "absolute_error" } else { &*column.metric };
    let mut scores = read_scores(folder, &column.task, metric)?;
    if scores.is_empty() && column.metric == "accuracy" {
        // A task with one class per sample has no stored scores: a correct prediction counts as the score 100, a wrong one as 0.
        scores = read_hits(&folder.join("predictions.parquet"), &column.task)?;
    }
    Ok(scores.into_iter().collect())
}

/// The mean score of each image over `runs`, the folders of runs. An image that only some runs were tested on is left out: it would be
/// compared for a different set of networks.
///
/// # Errors
/// If a file of a run is damaged.
pub(super) fn mean_scores(runs: &[PathBuf], column: &Column) -> Result<Scores> {
    let mut sums: BTreeMap<String, (f64, usize)> = BTreeMap::new();
    for folder in runs {
        for (image, score) in scores_of_run(folder, column)? {
            let entry = sums.entry(image).or_default();
            *entry = (entry.0 + score, entry.1 + 1);
        }
    }
    sums.retain(|_, (_, count)| *count == runs.len());
    Ok(sums.into_iter().map(|(image, (sum, count))| (image, sum / count as f64)).collect())
}

/// The final value of `column` on `split` of each run that has one, from the recorded metrics of the runs `stored`.
pub(super) fn run_values(histories: &[Vec<Row>], stored: &[StoredRun], column: &Column, split: &str) -> Vec<f64> {
    let is_cell = |found: &&Row| found.split == split && found.task == column.task && found.metric == column.metric;
    let value = |(at, rows): (usize, &Vec<Row>)| {
        let selected = stored.get(at).and_then(|run| run.status.selected_epoch);
        final_rows(rows, selected).into_iter().find(is_cell).map(|found| found.value)
    };
    histories.iter().enumerate().filter_map(value).collect()
}
