//! `external-NAME.json` in a run's folder: what was measured on labelled data beside the training data.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::files::{read, write_whole};
use super::metrics::Row;

/// What was measured of one run on one folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExternalResult {
    /// A digest of everything that the values follow from, beside the network.
    pub digest: String,
    /// The folder.
    pub folder: PathBuf,
    /// Each task that was measured, with the number of cases that have a label of it.
    pub cases: Vec<(String, usize)>,
    /// What a reader must know, one sentence each.
    pub notes: Vec<String>,
    /// The metrics that are defined.
    pub values: Vec<ExternalValue>,
}

/// The value of one metric of one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExternalValue {
    /// The task's name.
    pub task: String,
    /// The metric's name.
    pub metric: String,
    /// The value in the metric's unit.
    pub value: f64,
}

impl ExternalResult {
    /// The value of `metric` of `task`, if it was measured.
    pub fn value(&self, task: &str, metric: &str) -> Option<f64> {
        self.values.iter().find(|known| known.task == task && known.metric == metric).map(|known| known.value)
    }

    /// The values as rows of the split `external:NAME`, of a run that ended after `step` steps and `epoch` epochs.
    pub(super) fn rows(&self, name: &str, step: u64, epoch: u64) -> impl Iterator<Item = Row> {
        let split = format!("external:{name}");
        self.values.iter().map(move |ExternalValue { task, metric, value }| Row {
            step,
            epoch,
            split: split.clone(),
            task: task.clone(),
            metric: metric.clone(),
            value: *value,
        })
    }
}

fn file(run: &Path, name: &str) -> PathBuf {
    run.join(format!("external-{name}.json"))
}

/// Writes what was measured on the folder `name` into the folder of a run.
///
/// # Errors
/// If the file cannot be written.
pub fn write_external(run: &Path, name: &str, result: &ExternalResult) -> Result<()> {
    Ok(write_whole(&file(run, name), &serde_json::to_vec_pretty(result)?)?)
}

/// What was measured on the folder `name`; `None` if nothing was.
///
/// # Errors
/// If the file is damaged.
pub fn read_external(run: &Path, name: &str) -> Result<Option<ExternalResult>> {
    let path = file(run, name);
    if !path.exists() {
        return Ok(None);
    }
    let parsed = serde_json::from_slice(&read(&path)?);
    parsed.map(Some).with_context(|| format!("`{}` is damaged; delete it to measure it again", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_external(folder.path(), "a").unwrap(), None);
        let value = |metric: &str, value| ExternalValue { task: "disc".into(), metric: metric.into(), value };
        let result = ExternalResult {
            digest: "ab".into(),
            folder: "other".into(),
            cases: vec![("disc".into(), 3)],
            notes: vec!["a note".into()],
            values: vec![value("dice", 0.1 + 0.2), value("iou", f64::MIN_POSITIVE)],
        };
        write_external(folder.path(), "a", &result).unwrap();
        let found = read_external(folder.path(), "a").unwrap().unwrap();
        assert_eq!(found, result);
        assert_eq!(found.value("disc", "dice").unwrap().to_bits(), (0.1f64 + 0.2).to_bits());
        assert_eq!(found.value("cup", "dice"), None);
        let rows: Vec<Row> = found.rows("a", 7, 2).collect();
        assert_eq!((rows.len(), rows[0].split.as_str(), rows[1].epoch), (2, "external:a", 2));
        std::fs::write(folder.path().join("external-a.json"), "{").unwrap();
        assert!(format!("{:#}", read_external(folder.path(), "a").unwrap_err()).contains("external-a.json"));
    }
}
