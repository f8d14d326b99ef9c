//! `metrics.parquet`: one row per number (step, epoch, split, task, metric, value) with the run that it belongs to (experiment,
//! label, method, seed, hash, learning_rate), so that the files of many runs can be read together. Checkpoints hold the same rows
//! without the run in `rows.parquet`, a name that a pattern for `metrics.parquet` does not match.

use std::path::Path;

use anyhow::{Context, Result};
use polars::prelude::{DataFrame, df};

use super::file_list::{exists_intact, read_intact};
use crate::plan::RunConfig;
use crate::suite::{Prediction, Split, parquet_frame};

/// The split of the rows that tell where the time of an epoch goes.
pub const TIME: &str = "time";

/// A row of `metrics.parquet`.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Number of completed steps of the method.
    pub step: u64,
    /// Number of completed epochs.
    pub epoch: u64,
    /// `train`, `validation` or `test`; [`TIME`] for times in seconds.
    pub split: String,
    /// The task's name.
    pub task: String,
    /// The metric's name, such as `loss`.
    pub metric: String,
    /// The value in the metric's unit.
    pub value: f64,
}

/// The run that the rows of `metrics.parquet` belong to.
#[derive(Clone, Debug, PartialEq)]
pub struct RunTags {
    /// Name of the experiment.
    pub experiment: String,
    /// The name of the row that the run was executed for: a method's name or a variant's name.
    pub label: String,
    /// Name of the method.
    pub method: String,
    /// The seed.
    pub seed: u64,
    /// The hash of its configuration.
    pub hash: String,
    /// The base learning rate of its method, which `training.schedule` changes over the run; `None` if the method has no setting
    /// of this name.
    pub learning_rate: Option<f64>,
}

impl RunTags {
    /// The run of `run`, which was executed for the row `label`.
    pub fn of(run: &RunConfig, label: &str) -> Self {
        Self {
            experiment: run.experiment.clone(),
            // Whoever reads the file without its folder has to see that the run belongs to no table.
            label: run.diagnosis.map_or_else(|| label.to_owned(), |found| format!("{label} ({})", found.label())),
            method: run.method.clone(),
            seed: run.seed,
            hash: run.hash(),
            learning_rate: run.settings["learning_rate"].as_f64(),
        }
    }
}

/// The rows as a data frame, with columns for the run that they belong to.
///
/// # Errors
/// If polars fails, which cannot happen because all columns have the same length.
pub fn metrics_frame(rows: &[Row], run: &RunTags) -> Result<DataFrame> {
    let text = |value: &str| vec![value.to_owned(); rows.len()];
    let of_run = df!(
        "experiment" => text(&run.experiment),
        "label" => text(&run.label),
        "method" => text(&run.method),
        "seed" => vec![run.seed; rows.len()],
        "hash" => text(&run.hash),
        "learning_rate" => vec![run.learning_rate; rows.len()],
    )?;
    Ok(rows_frame(rows)?.hstack(of_run.columns())?)
}

/// The rows as a data frame.
///
/// # Errors
/// If polars fails, which cannot happen because all columns have the same length.
pub fn rows_frame(rows: &[Row]) -> Result<DataFrame> {
    let text = |pick: fn(&Row) -> &str| rows.iter().map(pick).collect::<Vec<&str>>();
    Ok(df!(
        "step" => rows.iter().map(|row| row.step).collect::<Vec<_>>(),
        "epoch" => rows.iter().map(|row| row.epoch).collect::<Vec<_>>(),
        "split" => text(|row| &row.split),
        "task" => text(|row| &row.task),
        "metric" => text(|row| &row.metric),
        "value" => rows.iter().map(|row| row.value).collect::<Vec<_>>(),
    )?)
}

/// The predictions as a data frame (task, index, target, predicted).
///
/// # Errors
/// If polars fails, which cannot happen because all columns have the same length.
pub fn predictions_frame(predictions: &[Prediction]) -> Result<DataFrame> {
    let number = |pick: fn(&Prediction) -> u32| predictions.iter().map(pick).collect::<Vec<u32>>();
    Ok(df!(
        "task" => predictions.iter().map(|prediction| &*prediction.task).collect::<Vec<_>>(),
        "index" => number(|prediction| prediction.index),
        "target" => number(|prediction| prediction.target),
        "predicted" => number(|prediction| prediction.predicted),
    )?)
}

/// The predictions of `task`, in the order of evaluation; empty if the task has none, or if there is no file.
///
/// # Errors
/// If the file exists but is damaged.
pub fn read_predictions(path: &Path, task: &str) -> Result<Vec<Prediction>> {
    if !exists_intact(path)? {
        return Ok(Vec::new());
    }
    let bytes = read_intact(path)?;
    let parse = || -> Result<Vec<Prediction>> {
        let frame = parquet_frame(bytes)?;
        let number = |name: &str| frame.column(name)?.u32();
        let (tasks, indices) = (frame.column("task")?.str()?, number("index")?);
        let (targets, predicted) = (number("target")?, number("predicted")?);
        let of_task = (0..frame.height()).filter(|&at| tasks.get(at) == Some(task));
        let prediction = |at: usize| {
            let (index, target, predicted) = (indices.get(at)?, targets.get(at)?, predicted.get(at)?);
            Some(Prediction { task: task.to_owned().into(), index, target, predicted })
        };
        of_task.map(|at| prediction(at).context("a value is missing")).collect()
    };
    parse().with_context(|| format!("`{}` is not a predictions file of this program", path.display()))
}

/// For each sample of `task`, (index, 100 if its class was predicted correctly, otherwise 0); empty if the task has no
/// predictions, or if there is no file.
///
/// # Errors
/// If the file exists but is damaged.
pub fn read_hits(path: &Path, task: &str) -> Result<Vec<(String, f64)>> {
    let hit = |p: Prediction| (p.index.to_string(), if p.target == p.predicted { 100.0 } else { 0.0 });
    Ok(read_predictions(path, task)?.into_iter().map(hit).collect())
}

/// Reads rows back; every bit is preserved.
///
/// # Errors
/// If the file cannot be read or has other columns.
pub fn read_rows(path: &Path) -> Result<Vec<Row>> {
    let bytes = read_intact(path)?;
    let parse = || -> Result<Vec<Row>> {
        let frame = parquet_frame(bytes)?;
        let (steps, epochs) = (frame.column("step")?.u64()?, frame.column("epoch")?.u64()?);
        let text = |name: &str| frame.column(name)?.str();
        let (splits, tasks, metrics) = (text("split")?, text("task")?, text("metric")?);
        let values = frame.column("value")?.f64()?;
        let row = |at: usize| {
            Some(Row {
                step: steps.get(at)?,
                epoch: epochs.get(at)?,
                split: splits.get(at)?.to_owned(),
                task: tasks.get(at)?.to_owned(),
                metric: metrics.get(at)?.to_owned(),
                value: values.get(at)?,
            })
        };
        (0..frame.height()).map(|at| row(at).context("a value is missing")).collect()
    };
    parse().with_context(|| format!("`{}` is not a metrics file of this program", path.display()))
}

/// The last row of each (split, task, metric), in the order in which these first occur: where a run ended. On the validation split,
/// this is the row of `selected_epoch`, if the run ended with the network of this epoch. Times say nothing about the end, and are
/// left out.
pub fn final_rows(rows: &[Row], selected_epoch: Option<u64>) -> Vec<&Row> {
    let is_same = |a: &Row, b: &Row| (&a.split, &a.task, &a.metric) == (&b.split, &b.task, &b.metric);
    let mut last: Vec<&Row> = Vec::new();
    let is_later = |row: &&Row| {
        row.split == Split::Validation.name() && selected_epoch.is_some_and(|selected| row.epoch > selected)
    };
    for row in rows.iter().filter(|row| row.split != TIME && !is_later(row)) {
        match last.iter_mut().find(|known| is_same(known, row)) {
            Some(known) => *known = row,
            None => last.push(row),
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::super::files::write_whole;
    use super::super::tabular::parquet_bytes;
    use super::*;

    fn row(epoch: u64, split: &str, value: f64) -> Row {
        Row { step: 5 * epoch, epoch, split: split.into(), task: "a".into(), metric: "loss".into(), value }
    }

    #[test]
    fn rows_come_back_to_the_bit_whatever_run_they_name() {
        let folder = tempfile::tempdir().unwrap();
        let rows = [row(1, "train", 0.1 + 0.2), row(1, "test", f64::MIN_POSITIVE), row(2, "train", -0.0)];
        let run = RunTags {
            experiment: "table1".into(),
            label: "mtcool_b05".into(),
            method: "mtcool".into(),
            seed: 3,
            hash: "ab".into(),
            learning_rate: Some(0.05),
        };
        let frame = metrics_frame(&rows, &run).unwrap();
        let names: Vec<&str> = frame.columns().iter().map(|column| column.name().as_str()).collect();
        let expected = [
            "step",
            "epoch",
            "split",
            "task",
            "metric",
            "value",
            "experiment",
            "label",
            "method",
            "seed",
            "hash",
            "learning_rate",
        ];
        assert_eq!(names, expected);
        assert_eq!(frame.column("label").unwrap().str().unwrap().get(2), Some("mtcool_b05"));
        let path = folder.path().join("metrics.parquet");
        write_whole(&path, &parquet_bytes(frame).unwrap()).unwrap();
        let found = read_rows(&path).unwrap();
        assert_eq!(found, rows);
        assert!(found.iter().zip(&rows).all(|(found, row)| found.value.to_bits() == row.value.to_bits()));
        assert_eq!(final_rows(&rows, None), [&rows[2], &rows[1]]);
        let rows =
            [row(1, "validation", 0.5), row(2, "validation", 0.25), row(2, "train", 0.1), row(3, "validation", 0.75)];
        assert_eq!(final_rows(&rows, Some(2)), [&rows[1], &rows[2]]);
        assert_eq!(final_rows(&rows, None), [&rows[3], &rows[2]]);
        assert_eq!(read_hits(&folder.path().join("predictions.parquet"), "a").unwrap(), []);
    }
}
