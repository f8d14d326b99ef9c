//! A row of the table: the summary of a method's finished runs.

use std::path::PathBuf;

use mtcool_metrics::Summary;

use super::against_paper::AgainstPaper;
use crate::record::{Row, StoredRun};
use crate::suite::MethodEntry;

/// The row of a method or of a variant of one.
pub struct TableRow {
    /// The method. For a variant, name and label are the variant's.
    pub method: MethodEntry,
    /// Whether the experiment's file names the method. These methods form the first block of the table.
    pub is_in_first_block: bool,
    /// Number of finished runs.
    pub runs: usize,
    /// The error messages of the runs that diverged.
    pub failures: Vec<String>,
    /// Number of parameters relative to Joint's network.
    pub params: Option<f64>,
    /// One summary per column; `None` without a finished run.
    pub cells: Vec<Option<Summary>>,
    /// Training time per epoch in seconds, without evaluation.
    pub seconds_per_epoch: Option<f64>,
    /// The paper's number of parameters relative to Joint's network.
    pub paper_params: Option<f64>,
    /// The comparison with the paper's cell, one per column; `None` where the paper has none.
    pub against_paper: Vec<Option<AgainstPaper>>,
    /// The recorded metrics of the finished runs, for plots.
    pub histories: Vec<Vec<Row>>,
    /// The finished runs, sorted by seed.
    pub stored: Vec<StoredRun>,
    /// The folders of the finished runs, sorted by seed.
    pub folders: Vec<PathBuf>,
    /// The runs that have begun and are not over, sorted by seed.
    pub unfinished: Vec<StoredRun>,
}

#[cfg(test)]
impl TableRow {
    /// A row of `method` for tests, without run folders; all its cells have the same number of runs.
    pub(super) fn example(method: &str, params: f64, cells: Vec<Option<Summary>>) -> Self {
        Self {
            method: crate::suite::Registry::builtin().method(method).unwrap().clone(),
            is_in_first_block: true,
            runs: cells.iter().flatten().map(|cell| cell.count).max().unwrap_or(0),
            failures: Vec::new(),
            params: Some(params),
            against_paper: vec![None; cells.len()],
            cells,
            seconds_per_epoch: Some(1.0),
            paper_params: None,
            histories: Vec::new(),
            stored: Vec::new(),
            folders: Vec::new(),
            unfinished: Vec::new(),
        }
    }
}
