//! A row of the table: the summary of a method's finished runs.

use std::path::PathBuf;

use mtcool_metrics::Summary;

use crate::plan::Reference;
use crate::record::Row;
use crate::suite::MethodEntry;

/// A method's row.
pub struct TableRow {
    /// The method.
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
    /// The paper's row.
    pub reference: Option<Reference>,
    /// The recorded metrics of the finished runs, for plots.
    pub histories: Vec<Vec<Row>>,
    /// The folders of the finished runs, sorted by seed.
    pub folders: Vec<PathBuf>,
}
