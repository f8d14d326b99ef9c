//! The table of an experiment, built from the finished runs. This module trains nothing.

mod against_paper;
mod comparison;
mod context;
pub mod figure;
mod html;
mod paper_notes;
mod plot;
mod provenance;
mod render;
mod row;
mod table;
mod verdict;

use anyhow::Result;

use crate::record::{csv_bytes, parquet_bytes, runs_frame, write_whole};
use crate::suite::Suite;

pub use against_paper::AgainstPaper;
pub use comparison::{Comparison, Paired, compare_runs};
pub use context::TableContext;
pub use provenance::{Provenance, RowOrigin};
pub use row::TableRow;
pub use table::Table;
pub use verdict::Verdict;

/// Writes `table.md`, `table.csv`, `table.parquet`, `runs.csv`, `runs.parquet` and `report.html`, and, if the data is available and has dense tasks,
/// `figure.svg` and `figure.png`. Returns the Markdown.
///
/// # Errors
/// If a run's files cannot be read or the table cannot be written.
pub fn write(context: &TableContext<'_>, suite: Option<&dyn Suite>) -> Result<String> {
    let table = Table::collect(context)?;
    let markdown = render::markdown(&table);
    write_whole(&context.folder.join("table.md"), markdown.as_bytes())?;
    write_whole(&context.folder.join("table.csv"), &render::csv(&table)?)?;
    write_whole(&context.folder.join("table.parquet"), &parquet_bytes(render::frame(&table)?)?)?;
    let runs = runs_frame(&table.runs)?;
    write_whole(&context.folder.join("runs.csv"), &csv_bytes(runs.clone())?)?;
    write_whole(&context.folder.join("runs.parquet"), &parquet_bytes(runs)?)?;
    let figure = match suite {
        Some(suite) => figure::draw(&table, context.plan.spec.figure.as_ref(), suite)?,
        None => None,
    };
    if let Some(figure) = &figure {
        write_whole(&context.folder.join("figure.svg"), figure.svg.as_bytes())?;
        write_whole(&context.folder.join("figure.png"), &figure.png)?;
    }
    let figure = figure.map(|figure| figure.svg);
    write_whole(&context.folder.join("report.html"), html::page(&table, figure.as_deref())?.as_bytes())?;
    Ok(markdown)
}
