//! `metrics.parquet`: one row per number (step, epoch, split, task, metric, value).

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result};
use polars::prelude::{DataFrame, ParquetReader, ParquetWriter, SerReader, df};

use super::files::read;
use crate::suite::Prediction;

/// A row of `metrics.parquet`.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Number of completed steps of the method.
    pub step: u64,
    /// Number of completed epochs.
    pub epoch: u64,
    /// `train`, `validation` or `test`.
    pub split: String,
    /// The task's name.
    pub task: String,
    /// The metric's name, such as `loss`.
    pub metric: String,
    /// The value in the metric's unit.
    pub value: f64,
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

/// A data frame as a Parquet file.
///
/// # Errors
/// If polars fails.
pub fn parquet_bytes(mut frame: DataFrame) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(&mut frame)?;
    Ok(bytes)
}

/// For each sample of `task`, (index, 100 if its class was predicted correctly, otherwise 0); empty if the task has no
/// predictions.
///
/// # Errors
/// If the file cannot be read or has other columns.
pub fn read_hits(path: &Path, task: &str) -> Result<Vec<(String, f64)>> {
    let parse = || -> Result<Vec<(String, f64)>> {
        let frame = ParquetReader::new(Cursor::new(read(path)?)).finish()?;
        let number = |name: &str| frame.column(name)?.u32();
        let (tasks, indices) = (frame.column("task")?.str()?, number("index")?);
        let (targets, predicted) = (number("target")?, number("predicted")?);
        let of_task = (0..frame.height()).filter(|&at| tasks.get(at) == Some(task));
        let hit = |at: usize| {
            let is_hit = targets.get(at)? == predicted.get(at)?;
            Some((indices.get(at)?.to_string(), if is_hit { 100.0 } else { 0.0 }))
        };
        of_task.map(|at| hit(at).context("a value is missing")).collect()
    };
    parse().with_context(|| format!("`{}` is not a predictions file of this program", path.display()))
}

/// Reads rows back; every bit is preserved.
///
/// # Errors
/// If the file cannot be read or has other columns.
pub fn read_rows(path: &Path) -> Result<Vec<Row>> {
    let parse = || -> Result<Vec<Row>> {
        let frame = ParquetReader::new(Cursor::new(read(path)?)).finish()?;
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
