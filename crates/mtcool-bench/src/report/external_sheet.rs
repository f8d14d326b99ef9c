//! [`ExternalSheet`]: what is shown of the results on a folder beside the training data.

use anyhow::Result;
use mtcool_metrics::Summary;
use polars::prelude::{Column as Series, DataFrame};

use super::external::{ExternalRow, ExternalTable};
use super::table::Table;
use crate::record::csv_bytes;
use crate::suite::Column;

/// The results on one folder as texts.
pub(super) struct ExternalSheet {
    /// The title above the rows.
    pub(super) title: String,
    /// The texts of the header.
    pub(super) head: Vec<String>,
    /// A line per row; none if no run was measured.
    pub(super) lines: Vec<Vec<String>>,
    /// The notes below the rows.
    pub(super) notes: Vec<String>,
}

impl ExternalSheet {
    /// A sheet for each folder.
    pub(super) fn all(table: &Table) -> Vec<Self> {
        let sheet = |external: &ExternalTable| {
            let (head, lines) = lines(external, &table.columns);
            let title = format!("External test: {} (`{}`)", external.name, external.folder);
            Self { title, head, lines, notes: notes(external) }
        };
        table.external.iter().map(sheet).collect()
    }
}

/// The header and the lines, without columns that have no figure.
fn lines(external: &ExternalTable, columns: &[Column]) -> (Vec<String>, Vec<Vec<String>>) {
    let is_shown = |at: &usize| external.rows.iter().any(|row| row.cells[*at].is_some());
    let shown: Vec<usize> = (0..columns.len()).filter(is_shown).collect();
    let labels = shown.iter().map(|&at| columns[at].label.to_string());
    let head = std::iter::once("Method".to_owned()).chain(labels).chain(["runs".to_owned()]).collect();
    let means = |at: usize| external.rows.iter().filter_map(move |row| row.cells[at].map(|cell| cell.mean));
    let digits = |at: usize| columns[at].digits(means(at));
    let line = |row: &ExternalRow| {
        let figure = |at: usize, cell: Summary| digits(at).spread(cell.mean, cell.std);
        let figures = shown.iter().map(|&at| row.cells[at].map_or_else(|| "-".to_owned(), |cell| figure(at, cell)));
        std::iter::once(row.label.clone()).chain(figures).chain([row.runs.to_string()]).collect::<Vec<String>>()
    };
    (head, external.rows.iter().map(line).collect())
}

/// The notes below the rows.
fn notes(external: &ExternalTable) -> Vec<String> {
    if external.rows.is_empty() {
        return vec!["No run has been measured on this folder yet.".into()];
    }
    let cases = external.cases.iter().map(|(task, cases)| format!("{task} {cases}"));
    let cases = cases.collect::<Vec<_>>().join(", ");
    let first = format!(
        "The networks of the finished runs, measured on this folder as they are; nothing was trained or chosen on it. Labels of each \
         task: {cases}."
    );
    std::iter::once(first).chain(external.notes.iter().map(|note| format!("{note}."))).collect()
}

/// The results of all rows on all folders as CSV: external, folder, method, label, runs, task, metric, cases, mean, std.
///
/// # Errors
/// If polars fails, which cannot happen because all columns have the same length.
pub(super) fn csv(table: &Table) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    for external in &table.external {
        for row in &external.rows {
            let known = table.columns.iter().zip(&row.cells).filter_map(|(column, cell)| Some((column, (*cell)?)));
            lines.extend(known.map(|(column, cell)| (external, row, column, cell)));
        }
    }
    let text = |name: &str, pick: &dyn Fn(&ExternalTable, &ExternalRow, &Column) -> String| {
        let all = lines.iter().map(|(external, row, column, _)| pick(external, row, column));
        Series::new(name.into(), all.collect::<Vec<String>>())
    };
    let count = |name: &str, pick: &dyn Fn(&ExternalTable, &ExternalRow, &Column) -> usize| {
        let all = lines.iter().map(|(external, row, column, _)| pick(external, row, column) as u64);
        Series::new(name.into(), all.collect::<Vec<u64>>())
    };
    let cases = |external: &ExternalTable, _: &ExternalRow, column: &Column| {
        external.cases.iter().find(|(task, _)| *task == column.task).map_or(0, |(_, cases)| *cases)
    };
    let columns = vec![
        text("external", &|external, _, _| external.name.clone()),
        text("folder", &|external, _, _| external.folder.clone()),
        text("method", &|_, row, _| row.method.clone()),
        text("label", &|_, row, _| row.label.clone()),
        count("runs", &|_, row, _| row.runs),
        text("task", &|_, _, column| column.task.to_string()),
        text("metric", &|_, _, column| column.metric.to_string()),
        count("cases", &cases),
        Series::new("mean".into(), lines.iter().map(|(.., cell)| cell.mean).collect::<Vec<f64>>()),
        Series::new("std".into(), lines.iter().map(|(.., cell)| cell.std).collect::<Vec<Option<f64>>>()),
    ];
    csv_bytes(DataFrame::new(lines.len(), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ExternalConfig;
    use crate::record::{ExternalResult, ExternalValue, write_external};

    fn measured(value: f64) -> ExternalResult {
        ExternalResult {
            digest: "ab".into(),
            folder: "other".into(),
            cases: vec![("task".into(), 5)],
            notes: vec!["no label of cup: not measured".into()],
            values: vec![ExternalValue { task: "task".into(), metric: "metric".into(), value }],
        }
    }

    #[test]
    fn runs_that_were_measured_are_rows() {
        let folder = tempfile::tempdir().unwrap();
        let mut table = Table::example(None);
        let runs = ["a", "b", "c"].map(|name| folder.path().join(name));
        for (run, value) in runs.iter().zip([90.0, 92.0]) {
            std::fs::create_dir(run).unwrap();
            write_external(run, "far", &measured(value)).unwrap();
        }
        table.rows[0].folders = runs.to_vec();
        let external: ExternalConfig = serde_json::from_str(r#"{ "name": "far", "folder": "other" }"#).unwrap();
        let second = Column::new("cup", "metric", "Second");
        let columns = [table.columns[0].clone(), second];
        let found = ExternalTable::all(&[external], &columns, &table.rows).unwrap().remove(0);
        let (head, lines) = lines(&found, &columns);
        assert_eq!(head, ["Method", "First", "runs"], "a column without figures is left out");
        assert_eq!(lines, [["Joint", "91.00 ± 1.414", "2"]], "runs and rows that were not measured are left out");
        let remarks = notes(&found).join(" ");
        assert!(remarks.contains("task 5") && remarks.contains("no label of cup: not measured."), "{remarks}");
        table.columns.truncate(1);
        table.external = vec![ExternalTable { rows: Vec::new(), ..found }];
        assert!(ExternalSheet::all(&table)[0].notes[0].contains("No run"));
        assert_eq!(String::from_utf8(csv(&table).unwrap()).unwrap().lines().count(), 1);
    }
}
