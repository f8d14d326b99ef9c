//! Gathering: finished runs of one configuration, summarised by method.

use std::path::PathBuf;

use anyhow::Result;
use mtcool_metrics::Summary;

use super::TableContext;
use super::comparison::{Comparison, compare};
use crate::config::{Experiment, Reference, ReportedSplit, RunConfig, resolve_run};
use crate::datasets::{self, Caveat, Column};
use crate::methods::{METHODS, MethodEntry};
use crate::record::{Row, RunFolder, RunStatus, Status, read_rows};

/// A method's row.
pub struct TableRow {
    /// The method.
    pub method: &'static MethodEntry,
    /// Whether it is one that the experiment's file asks for: the table's first block.
    pub is_in_first_block: bool,
    /// Finished runs.
    pub runs: usize,
    /// Diverged runs, in words.
    pub failures: Vec<String>,
    /// Parameters relative to Joint, counted.
    pub params: Option<f64>,
    /// One a column; `None` without a finished run.
    pub cells: Vec<Option<Summary>>,
    /// Training time alone.
    pub seconds_per_epoch: Option<f64>,
    /// The paper's row.
    pub reference: Option<Reference>,
    /// What the finished runs recorded, for plots.
    pub histories: Vec<Vec<Row>>,
    /// Folders of the finished runs, by seed.
    pub folders: Vec<PathBuf>,
}

/// A table.
pub struct Table {
    /// The experiment's title.
    pub title: String,
    /// Its columns.
    pub columns: &'static [Column],
    /// Its rows: those of the experiment's file in its order, then further methods.
    pub rows: Vec<TableRow>,
    /// Whether its data are drawn.
    pub is_synthetic: bool,
    /// The split that its figures are of, `validation` or `test`.
    pub split: &'static str,
    /// Each row against MT-COOL's, image by image.
    pub comparisons: Vec<Comparison>,
    /// What a reader must know before comparing.
    pub notes: Vec<String>,
}

impl Table {
    /// From all finished runs that have the experiment's present configuration.
    ///
    /// # Errors
    /// If a run's files are damaged.
    pub fn collect(context: &TableContext<'_>) -> Result<Self> {
        let columns = datasets::find(&context.experiment.dataset)?.columns;
        let (first, asked) = (&context.experiment.first_block, &context.experiment.methods);
        let place = |names: &[String], entry: &MethodEntry| names.iter().position(|name| name == entry.name);
        let rank = |entry: &MethodEntry| {
            let further = || first.len() + place(asked, entry).unwrap_or(asked.len());
            place(first, entry).unwrap_or_else(further)
        };
        let mut entries: Vec<_> = METHODS.iter().collect();
        entries.sort_by_key(|entry| rank(entry));
        let mut rows = Vec::new();
        for method in entries {
            let row = Self::row(context, method, columns)?;
            if place(asked, method).is_some() || row.runs > 0 {
                rows.push(row);
            }
        }
        Ok(Self {
            title: context.experiment.title.clone(),
            columns,
            is_synthetic: !context.data.origin.is_null(),
            split: split_of(context.experiment),
            comparisons: compare(&rows, columns)?,
            notes: notes(context, &rows),
            rows,
        })
    }

    /// The title as it stands above the table: whoever sees no more than that knows what the data are.
    pub fn heading(&self) -> String {
        let warning = if self.is_synthetic { " - SYNTHETIC DATA" } else { "" };
        format!("{}{warning}", self.title)
    }

    fn row(context: &TableContext<'_>, method: &'static MethodEntry, columns: &[Column]) -> Result<TableRow> {
        let runs = runs_of(context, method)?;
        let (finished, failed): (Vec<_>, Vec<_>) =
            runs.into_iter().partition(|(_, status)| status.status == Status::Finished);
        let folder = context.folder.join("runs");
        let folders: Vec<PathBuf> = finished.iter().map(|(run, _)| folder.join(run.id())).collect();
        let histories =
            folders.iter().map(|run| read_rows(&run.join("metrics.parquet"))).collect::<Result<Vec<_>>>()?;
        let split = split_of(context.experiment);
        let cells = columns.iter().map(|column| {
            let last = |rows: &Vec<Row>| rows.iter().rfind(|row| is_cell(row, column, split)).map(|row| row.value);
            let values: Vec<f64> = histories.iter().filter_map(last).collect();
            Summary::of(&values)
        });
        let per_epoch: Vec<f64> =
            finished.iter().map(|(_, status)| status.train_seconds / status.epochs as f64).collect();
        let params = finished.first().map(|(_, status)| status.parameters as f64 / status.joint_parameters as f64);
        Ok(TableRow {
            method,
            is_in_first_block: context.experiment.first_block.iter().any(|name| name == method.name),
            runs: finished.len(),
            failures: failed.into_iter().filter_map(|(_, status)| status.message).collect(),
            params,
            cells: cells.collect(),
            seconds_per_epoch: Summary::of(&per_epoch).map(|summary| summary.mean),
            reference: context.experiment.reference.get(method.name).cloned(),
            histories,
            folders,
        })
    }
}

/// The name of the split behind the figures.
fn split_of(experiment: &Experiment) -> &'static str {
    match experiment.report {
        ReportedSplit::Validation => "validation",
        ReportedSplit::Test => "test",
    }
}

fn is_cell(row: &Row, column: &Column, split: &str) -> bool {
    (row.split.as_str(), row.task.as_str(), row.metric.as_str()) == (split, column.task, column.metric)
}

/// The runs of `method` that are over and have the present configuration, whatever the number of seeds asked for now.
fn runs_of(context: &TableContext<'_>, method: &MethodEntry) -> Result<Vec<(RunConfig, RunStatus)>> {
    let folder = context.folder.join("runs");
    let mut seeds = Vec::new();
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let seed = name.strip_prefix(method.name).and_then(|rest| rest.strip_prefix("-s")?.parse::<u64>().ok());
        seeds.extend(seed);
    }
    seeds.sort_unstable();
    let mut runs = Vec::new();
    for seed in seeds {
        // A method without settings in this experiment cannot have run in it.
        let Ok((run, _)) =
            resolve_run(context.name, context.experiment, context.figment, context.data, method.name, seed)
        else {
            continue;
        };
        match RunFolder::status(&folder, &run)? {
            Some(status) if status.hash == run.hash() && status.status != Status::Running => runs.push((run, status)),
            _ => {}
        }
    }
    Ok(runs)
}

fn notes(context: &TableContext<'_>, rows: &[TableRow]) -> Vec<String> {
    let mut notes = Vec::new();
    if context.experiment.report == ReportedSplit::Validation {
        notes.push("Figures of the validation split, for choosing settings; the test split was not read.".into());
    }
    if !context.data.origin.is_null() {
        notes.push(format!("SYNTHETIC DATA ({}): not comparable with the paper.", context.data.origin));
    } else if !context.experiment.comparable {
        notes.push("This profile is shorter than the paper's experiment: not comparable with the paper.".into());
    }
    for Caveat { text, is_comparable } in context.caveats {
        notes.push(format!("{text}{}", if *is_comparable { "." } else { ": not comparable with the paper." }));
    }
    notes.extend(context.experiment.notes.iter().cloned());
    let missing: Vec<_> =
        rows.iter().filter(|row| row.runs == 0 && row.failures.is_empty()).map(|row| row.method.name).collect();
    if !missing.is_empty() {
        notes.push(format!("No finished run yet: {}.", missing.join(", ")));
    }
    for row in rows {
        notes.extend(row.failures.iter().map(|failure| format!("FAILED: {failure}.")));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DataIdentity, Overrides, find_experiment, load};

    #[test]
    fn copies_that_are_not_as_published_are_told() {
        let overrides = Overrides { profile: Some("paper".into()), assignments: Vec::new() };
        let (source, text) = find_experiment("table2").unwrap();
        let (experiment, figment) = load(&source, &text, &overrides).unwrap();
        let caveat = |text: &str, is_comparable| Caveat { text: text.into(), is_comparable };
        let notes_on = |origin: serde_json::Value, caveats: &[Caveat]| {
            let data = DataIdentity { origin, ..DataIdentity::default() };
            let folder = std::path::Path::new("none");
            let context = TableContext {
                name: "table2",
                experiment: &experiment,
                figment: &figment,
                data: &data,
                caveats,
                folder,
            };
            notes(&context, &[])
        };
        let is_told = |notes: &[String]| notes.iter().any(|note| note.contains("not comparable"));
        let published = notes_on(serde_json::Value::Null, &[]);
        assert!(!is_told(&published), "{published:?}");
        assert!(published.iter().any(|note| note.contains("Cup") && note.contains("swapped")), "{published:?}");
        let recoded = notes_on(serde_json::Value::Null, &[caveat("3 masks", true)]);
        assert!(!is_told(&recoded) && recoded.contains(&"3 masks.".to_owned()), "{recoded:?}");
        assert!(is_told(&notes_on(serde_json::Value::Null, &[caveat("3 photographs", false)])));
        assert!(is_told(&notes_on(serde_json::json!({ "synthetic": {} }), &[])));
    }
}
