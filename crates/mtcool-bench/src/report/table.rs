//! [`Table`]: the finished runs of one configuration, summarised by method.

use std::collections::BTreeMap;

use anyhow::Result;
use mtcool_metrics::Summary;

use super::against_paper::{AgainstPaper, obstacle};
use super::comparison::{Comparison, compare};
use super::context::TableContext;
use super::paper_notes;
use super::provenance::Provenance;
use super::row::TableRow;
use crate::plan::PlannedMethod;
use crate::record::{Environment, RecordedRun, Row, Status, StoredRun, read_rows};
use crate::suite::{Caveat, Column, Split};

/// The results table of an experiment.
pub struct Table {
    /// The experiment's title.
    pub title: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows: the methods of the experiment's file in the file's order, then other methods.
    pub rows: Vec<TableRow>,
    /// Whether its data is synthetic.
    pub is_synthetic: bool,
    /// The split that its results belong to, `validation` or `test`.
    pub split: &'static str,
    /// Paired comparisons of MT-COOL, or of the first row, with each other row.
    pub comparisons: Vec<Comparison>,
    /// Why no result can be compared with the paper, if that is so.
    pub paper_obstacle: Option<String>,
    /// Notes that a reader must know before comparing results.
    pub notes: Vec<String>,
    /// The finished runs of all rows, each with the label of its row.
    pub runs: Vec<RecordedRun>,
    /// Where the numbers come from.
    pub provenance: Provenance,
}

impl Table {
    /// Collects all finished runs that have the experiment's current configuration.
    ///
    /// # Errors
    /// If a run's files are damaged.
    pub fn collect(context: &TableContext<'_>) -> Result<Self> {
        let (plan, columns) = (context.plan, context.plan.spec.columns.clone());
        let (first, second): (Vec<&PlannedMethod>, _) =
            plan.methods.iter().chain(&plan.further).partition(|method| method.is_in_first_block);
        let first = plan.in_order_of_file(first);
        let mut rows = Vec::new();
        for method in first.into_iter().chain(second) {
            let row = Self::row(context, method, &columns)?;
            let is_asked_for = plan.methods.iter().any(|asked| asked.entry.name == method.entry.name);
            if is_asked_for || row.runs > 0 || !row.unfinished.is_empty() {
                rows.push(row);
            }
        }
        let runs = recorded_runs(&rows)?;
        Ok(Self {
            title: plan.experiment.title.clone(),
            is_synthetic: !context.data.origin.is_null(),
            split: plan.experiment.report.name(),
            comparisons: compare(&rows, &columns)?,
            paper_obstacle: obstacle(context),
            notes: notes(context, &columns, &rows)?,
            provenance: Provenance::collect(context, &rows, &runs),
            runs,
            columns,
            rows,
        })
    }

    /// The heading above the table: the title, with a warning if the data is synthetic.
    pub fn heading(&self) -> String {
        let warning = if self.is_synthetic { " - SYNTHETIC DATA" } else { "" };
        format!("{}{warning}", self.title)
    }

    fn row(context: &TableContext<'_>, method: &PlannedMethod, columns: &[Column]) -> Result<TableRow> {
        let runs = runs_of(context, method);
        let (over, unfinished): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| run.status.status.is_over());
        let (stored, failed): (Vec<_>, Vec<_>) =
            over.into_iter().partition(|run| run.status.status == Status::Finished);
        let folders: Vec<_> = stored.iter().map(|run| run.folder.clone()).collect();
        let histories =
            folders.iter().map(|run| read_rows(&run.join("metrics.parquet"))).collect::<Result<Vec<_>>>()?;
        let split = context.plan.experiment.report.name();
        let cells: Vec<Option<Summary>> = columns
            .iter()
            .map(|column| {
                let last = |rows: &Vec<Row>| rows.iter().rfind(|row| is_cell(row, column, split)).map(|row| row.value);
                let values: Vec<f64> = histories.iter().filter_map(last).collect();
                Summary::of(&values)
            })
            .collect();
        let against_paper = columns
            .iter()
            .zip(&cells)
            .map(|(column, cell)| AgainstPaper::of(context, &method.entry.name, column, cell.as_ref()));
        let per_epoch = stored.iter().map(|run| run.status.train_seconds / run.status.epochs as f64);
        let per_epoch: Vec<f64> = per_epoch.collect();
        let size = |run: &StoredRun| run.status.parameters as f64 / run.status.joint_parameters as f64;
        Ok(TableRow {
            method: method.entry.clone(),
            is_in_first_block: method.is_in_first_block,
            runs: stored.len(),
            failures: failed.into_iter().filter_map(|run| run.status.message).collect(),
            params: stored.first().map(size),
            against_paper: against_paper.collect::<Result<_>>()?,
            cells,
            seconds_per_epoch: Summary::of(&per_epoch).map(|summary| summary.mean),
            paper_params: context.plan.experiment.reference.get(&*method.entry.name).map(|row| row.params),
            histories,
            stored,
            folders,
            unfinished,
        })
    }
}

/// The finished runs of all rows with their circumstances. A run may have begun for a row of another name, and may belong to
/// several rows.
fn recorded_runs(rows: &[TableRow]) -> Result<Vec<RecordedRun>> {
    let of_row = |row: &TableRow| {
        let label = row.method.name.to_string();
        row.stored.clone().into_iter().map(move |run| RecordedRun::read(StoredRun { label: label.clone(), ..run }))
    };
    rows.iter().flat_map(of_row).collect()
}

fn is_cell(row: &Row, column: &Column, split: &str) -> bool {
    row.split == split && row.task == column.task && row.metric == column.metric
}

/// The runs that have the current configuration of `method`, sorted by seed, also for seeds that are not requested now.
fn runs_of(context: &TableContext<'_>, method: &PlannedMethod) -> Vec<StoredRun> {
    let is_asked_for = |run: &&StoredRun| {
        run.method == method.like && context.plan.run_config(method, run.seed, context.data).has_hash(&run.hash)
    };
    let mut runs: Vec<StoredRun> = context.runs.iter().filter(is_asked_for).cloned().collect();
    runs.sort_by_key(|run| run.seed);
    // A copy of a folder is the same run.
    runs.dedup_by_key(|run| run.seed);
    runs
}

fn notes(context: &TableContext<'_>, columns: &[Column], rows: &[TableRow]) -> Result<Vec<String>> {
    let experiment = &context.plan.experiment;
    let mut notes = Vec::new();
    if experiment.report == Split::Validation {
        notes.push(
            "These are results on the validation split, for choosing settings; the test split was not read.".into(),
        );
    }
    if !context.data.origin.is_null() {
        notes.push(format!("SYNTHETIC DATA ({}): not comparable with the paper.", context.data.origin));
    }
    for Caveat { text, is_comparable } in context.caveats {
        notes.push(format!("{text}{}", if *is_comparable { "." } else { ": not comparable with the paper." }));
    }
    notes.extend(paper_notes::compared(context, rows));
    notes.extend(paper_notes::rule(context, rows, columns));
    notes.extend(paper_notes::params(context.plan, rows)?);
    notes.extend(experiment.notes.iter().cloned());
    notes.extend(revisions(rows)?);
    let missing: Vec<_> =
        rows.iter().filter(|row| row.runs == 0 && row.failures.is_empty()).map(|row| &*row.method.name).collect();
    if !missing.is_empty() {
        notes.push(format!("No finished run yet: {}.", missing.join(", ")));
    }
    notes.extend(unfinished(rows));
    for row in rows {
        notes.extend(row.failures.iter().map(|failure| format!("FAILED: {failure}.")));
    }
    Ok(notes)
}

/// Notes on the runs that have begun and are not over.
fn unfinished(rows: &[TableRow]) -> Vec<String> {
    let place = |run: &StoredRun| {
        let status = &run.status;
        format!("{} (epoch {} of {})", run.name(), (status.epoch + 1).min(status.epochs), status.epochs)
    };
    let with = |status: Status| {
        let runs = rows.iter().flat_map(|row| &row.unfinished).filter(|run| run.status.status == status);
        runs.map(place).collect::<Vec<_>>().join(", ")
    };
    let (running, interrupted) = (with(Status::Running), with(Status::Interrupted));
    let mut notes = Vec::new();
    if !running.is_empty() {
        notes.push(format!("Running at the time of this table: {running}."));
    }
    if !interrupted.is_empty() {
        notes.push(format!("Interrupted: {interrupted}; the same command goes on."));
    }
    notes
}

/// A note, if the runs of the table were executed by different revisions of the program.
fn revisions(rows: &[TableRow]) -> Result<Option<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for run in rows.iter().flat_map(|row| &row.stored) {
        found.entry(Environment::read(&run.folder)?.revision).or_default().push(run.name());
    }
    if found.len() < 2 {
        return Ok(None);
    }
    let of_each = found.iter().map(|(revision, runs)| format!("{revision}: {}", runs.join(", ")));
    let of_each = of_each.collect::<Vec<_>>().join("; ");
    Ok(Some(format!("These runs were made by programs of {} different revisions ({of_each}).", found.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{DataIdentity, Overrides, Plan};
    use crate::suite::Registry;

    #[test]
    fn copies_that_are_not_as_published_are_told() {
        let overrides = Overrides { profile: Some("paper".into()), assignments: Vec::new() };
        let plan = Plan::load(&Registry::builtin(), "table2", &overrides).unwrap();
        let caveat = |text: &str, is_comparable| Caveat { text: text.into(), is_comparable };
        let notes_on = |origin: serde_json::Value, caveats: &[Caveat]| {
            let data = DataIdentity { origin, ..DataIdentity::default() };
            let folder = std::path::Path::new("none");
            let overrides = overrides.clone();
            let context = TableContext { plan: &plan, data: &data, caveats, overrides, runs: &[], folder };
            notes(&context, &plan.spec.columns, &[]).unwrap()
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
