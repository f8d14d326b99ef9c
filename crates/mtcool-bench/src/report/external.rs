//! [`ExternalTable`]: the results of the runs of a table on labelled data beside the training data.

use anyhow::Result;
use mtcool_metrics::Summary;

use super::row::TableRow;
use crate::plan::ExternalConfig;
use crate::record::{ExternalResult, read_external};
use crate::suite::Column;

/// The results of the runs of a table on one folder.
pub struct ExternalTable {
    /// The name of the folder in the experiment's file.
    pub name: String,
    /// The folder.
    pub folder: String,
    /// Each task that was measured, with the number of cases that have a label of it.
    pub cases: Vec<(String, usize)>,
    /// What a reader must know, one sentence each.
    pub notes: Vec<String>,
    /// The table's rows of which runs were measured.
    pub rows: Vec<ExternalRow>,
}

/// The results of one row.
pub struct ExternalRow {
    /// The method's or the variant's name.
    pub method: String,
    /// Its name in the table.
    pub label: String,
    /// Number of measured runs.
    pub runs: usize,
    /// One summary per column of the table; `None` where the metric is not defined.
    pub cells: Vec<Option<Summary>>,
}

impl ExternalTable {
    /// What was measured of the runs of `rows` on each of the folders `external`.
    ///
    /// # Errors
    /// If a file of a run is damaged.
    pub(super) fn all(external: &[ExternalConfig], columns: &[Column], rows: &[TableRow]) -> Result<Vec<Self>> {
        external.iter().map(|external| Self::of(external, columns, rows)).collect()
    }

    fn of(external: &ExternalConfig, columns: &[Column], rows: &[TableRow]) -> Result<Self> {
        let mut table = Self {
            name: external.name.clone(),
            folder: external.folder.display().to_string(),
            cases: Vec::new(),
            notes: Vec::new(),
            rows: Vec::new(),
        };
        for row in rows {
            let found = row.folders.iter().map(|run| read_external(run, &external.name)).collect::<Result<Vec<_>>>()?;
            let found: Vec<ExternalResult> = found.into_iter().flatten().collect();
            let Some(first) = found.first() else { continue };
            if table.cases.is_empty() {
                table.cases.clone_from(&first.cases);
            }
            for note in found.iter().flat_map(|result| &result.notes) {
                if !table.notes.contains(note) {
                    table.notes.push(note.clone());
                }
            }
            let cell = |column: &Column| {
                let values = found.iter().filter_map(|result| result.value(&column.task, &column.metric));
                Summary::of(&values.collect::<Vec<f64>>())
            };
            table.rows.push(ExternalRow {
                method: row.method.name.to_string(),
                label: row.method.label.to_string(),
                runs: found.len(),
                cells: columns.iter().map(cell).collect(),
            });
        }
        Ok(table)
    }
}
