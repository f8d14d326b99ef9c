//! `mtcool evaluate`: the metrics of finished runs on a labelled folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use polars::prelude::{Column, DataFrame};

use super::measure_run;
use crate::output::print;
use crate::plan::{CACHE, layout};
use crate::predict::{FoundRuns, find_runs};
use crate::record::{ExternalResult, csv_bytes, read, write_whole};
use crate::report::grid;
use crate::suite::{ExternalFolder, Registry};

/// The arguments of `mtcool evaluate`.
pub struct EvaluateRequest<'a> {
    /// The folders of finished runs. `*` in the last part of a path stands for any text.
    pub runs: &'a [PathBuf],
    /// The labelled folder.
    pub data: &'a Path,
    /// The settings `KEY=VALUE` in which its layout differs from that of the training data.
    pub assignments: &'a [String],
    /// The file for the figures.
    pub out: &'a Path,
}

/// The columns of the file.
const HEAD: &str = "run,data,task,cases,metric,value";

/// Executes `mtcool evaluate`: measures each run, prints a table, and writes a CSV file. The runs' own files stay as they are.
///
/// # Errors
/// If a run cannot be used or measured, or the file cannot be written.
pub fn run(registry: &Registry, request: &EvaluateRequest<'_>) -> Result<()> {
    let EvaluateRequest { data, out, .. } = request;
    check_place(out)?;
    let layout = layout(request.assignments)?;
    let external = ExternalFolder { folder: data, cache: Path::new(CACHE), layout: &layout };
    let mut measured: Vec<(String, ExternalResult)> = Vec::new();
    let mut noted: Vec<String> = Vec::new();
    let FoundRuns { folders, notices } = find_runs(request.runs)?;
    for notice in notices {
        tracing::warn!("{notice}");
    }
    for run in folders {
        let result = rayon::scope(|_| measure_run(registry, &run, external, None))?;
        for note in &result.notes {
            if !noted.contains(note) {
                tracing::warn!("{note}");
                noted.push(note.clone());
            }
        }
        measured.push((run.display().to_string(), result));
    }
    write_whole(out, &csv(&data.display().to_string(), &measured)?).map_err(|error| error.for_flag("--out"))?;
    print(&shown(&measured))
}

/// Checks that the file is none that this command did not write.
fn check_place(out: &Path) -> Result<()> {
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure!(
        !folder.join("config.toml").is_file(),
        "`--out {}` lies in the folder of a run, whose files stay as they are: name a file elsewhere",
        out.display()
    );
    if out.exists() {
        let found = read(out)?;
        if !found.starts_with(HEAD.as_bytes()) {
            bail!(
                "`{}` is there already, and this command did not write it: choose another file with `--out`",
                out.display()
            );
        }
    }
    Ok(())
}

/// Task, number of cases and metric of every value of any run, in the order of their first occurrence.
fn keys(measured: &[(String, ExternalResult)]) -> Vec<(&str, usize, &str)> {
    let mut keys: Vec<(&str, usize, &str)> = Vec::new();
    for (_, result) in measured {
        for value in &result.values {
            let cases = result.cases.iter().find(|(task, _)| *task == value.task).map_or(0, |(_, cases)| *cases);
            let key = (value.task.as_str(), cases, value.metric.as_str());
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    keys
}

/// The table on the screen: a line per metric, a column per run.
fn shown(measured: &[(String, ExternalResult)]) -> String {
    let name = |run: &String| {
        let name = Path::new(run).file_name();
        name.map_or_else(|| run.clone(), |name| name.to_string_lossy().into_owned())
    };
    let head =
        ["task", "cases", "metric"].map(str::to_owned).into_iter().chain(measured.iter().map(|(run, _)| name(run)));
    let line = |(task, cases, metric): (&str, usize, &str)| {
        let value = |result: &ExternalResult| {
            result.value(task, metric).map_or_else(|| "-".into(), |value| format!("{value:.4}"))
        };
        let values = measured.iter().map(|(_, result)| value(result));
        [task.to_owned(), cases.to_string(), metric.to_owned()].into_iter().chain(values).collect::<Vec<String>>()
    };
    grid(&head.collect::<Vec<_>>(), &keys(measured).into_iter().map(line).collect::<Vec<_>>())
}

/// Task, number of cases and metric of a value.
type Key<'a> = (&'a str, usize, &'a str);

/// The file: one line per run and metric.
fn csv(data: &str, measured: &[(String, ExternalResult)]) -> Result<Vec<u8>> {
    let keys = keys(measured);
    let lines = || {
        measured.iter().flat_map(|(run, result)| {
            let known = keys.iter().filter_map(|key| Some((key, result.value(key.0, key.2)?)));
            known.map(move |(key, value)| (run.as_str(), key, value))
        })
    };
    let text = |name: &str, pick: &dyn Fn(&str, &Key<'_>) -> String| {
        Column::new(name.into(), lines().map(|(run, key, _)| pick(run, key)).collect::<Vec<String>>())
    };
    let columns = vec![
        text("run", &|run, _| run.to_owned()),
        text("data", &|_, _| data.to_owned()),
        text("task", &|_, key| key.0.to_owned()),
        Column::new("cases".into(), lines().map(|(_, key, _)| key.1 as u64).collect::<Vec<u64>>()),
        text("metric", &|_, key| key.2.to_owned()),
        Column::new("value".into(), lines().map(|(.., value)| value).collect::<Vec<f64>>()),
    ];
    csv_bytes(DataFrame::new(lines().count(), columns)?).context("the figures as CSV")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ExternalValue;

    fn result(values: &[(&str, f64)]) -> ExternalResult {
        let value =
            |&(metric, value): &(&str, f64)| ExternalValue { task: "cell".into(), metric: metric.into(), value };
        ExternalResult {
            digest: String::new(),
            folder: "far".into(),
            cases: vec![("cell".into(), 7)],
            notes: Vec::new(),
            values: values.iter().map(value).collect(),
        }
    }

    #[test]
    fn every_value_of_every_run_is_a_line() {
        let measured =
            [("runs/a".to_owned(), result(&[("dice", 50.0)])), ("runs/b".to_owned(), result(&[("iou", 0.1 + 0.2)]))];
        let text = String::from_utf8(csv("far", &measured).unwrap()).unwrap();
        let want = format!("{HEAD}\nruns/a,far,cell,7,dice,50.0\nruns/b,far,cell,7,iou,0.30000000000000004\n");
        assert_eq!(text, want);
        let shown = shown(&measured);
        assert!(shown.contains("| cell | 7     | dice   | 50.0000 | -      |"), "{shown}");
    }

    #[test]
    fn files_of_others_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("figures.csv");
        check_place(&out).unwrap();
        std::fs::write(&out, HEAD).unwrap();
        check_place(&out).unwrap();
        std::fs::write(&out, "case,age\n").unwrap();
        assert!(check_place(&out).unwrap_err().to_string().contains("did not write it"));
        std::fs::write(folder.path().join("config.toml"), "").unwrap();
        assert!(check_place(&out).unwrap_err().to_string().contains("folder of a run"));
    }
}
