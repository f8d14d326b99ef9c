//! The table of an experiment, built from the finished runs. This module trains nothing.

mod against_paper;
mod chart;
mod claims;
mod claims_sheet;
mod clamped;
mod comparison;
mod context;
mod diagnosis;
#[cfg(test)]
mod example;
mod external;
mod external_sheet;
pub mod figure;
mod flatness;
mod frame;
mod grid;
mod interval;
mod markdown;
mod notes;
mod overall;
mod page;
mod paired_sheet;
mod paper_notes;
mod places;
mod provenance;
mod row;
mod scores;
mod search;
mod sheet;
mod table;
mod verdict;

use anyhow::Result;

use crate::plan::MetricLog;
use crate::record::{csv_bytes, figure_events, parquet_bytes, runs_frame, write_whole};
use crate::suite::Suite;

pub use against_paper::AgainstPaper;
pub use claims::{Finding, JudgedClaim, JudgedPair};
pub use comparison::{Comparison, Paired, compare_runs};
pub use context::TableContext;
pub use diagnosis::write_diagnosis;
pub use external::{ExternalRow, ExternalTable};
pub(crate) use grid::grid;
pub use provenance::{Provenance, RowOrigin};
pub use row::TableRow;
pub use search::SearchReport;
pub use table::Table;
pub use verdict::Verdict;

/// The flatness of the runs of `table` that have been measured, and what the clamp moved while they were trained, as Markdown; empty
/// if there is neither.
///
/// # Errors
/// If a file of a run is damaged.
pub fn flatness_markdown(table: &Table) -> Result<String> {
    let flatness = flatness::Flatness::of(table)?.map(|flatness| flatness.markdown(table)).unwrap_or_default();
    let clamped = clamped::ClampedSheet::of(table).map(|sheet| sheet.markdown()).unwrap_or_default();
    Ok([flatness, clamped].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n"))
}

/// Writes `table.md`, `table.csv`, `table.parquet`, `runs.csv`, `runs.parquet` and `report.html`; if the experiment names external
/// folders, `external.csv`; and, if the data is available and has dense tasks, `figure.svg` and `figure.png`, also for TensorBoard
/// if `log` asks for it. Returns the Markdown.
///
/// # Errors
/// If a run's files cannot be read or the table cannot be written.
pub fn write(context: &TableContext<'_>, suite: Option<&dyn Suite>) -> Result<String> {
    let table = Table::collect(context)?;
    let markdown = markdown::markdown(&table);
    write_whole(&context.folder.join("table.md"), markdown.as_bytes())?;
    write_whole(&context.folder.join("table.csv"), &frame::csv(&table)?)?;
    write_whole(&context.folder.join("table.parquet"), &parquet_bytes(frame::frame(&table)?)?)?;
    if !table.external.is_empty() {
        write_whole(&context.folder.join("external.csv"), &external_sheet::csv(&table)?)?;
    }
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
        if context.plan.experiment.log.contains(&MetricLog::Tensorboard) {
            let events = figure_events("figure", &figure.png)?;
            write_whole(&context.folder.join("events.out.tfevents.figure"), &events)?;
        }
    }
    let parts = page::Parts {
        figure: figure.map(|figure| figure.svg),
        flatness: flatness::Flatness::of(&table)?,
        appendix: page::Appendix::of(&table)?,
    };
    let page = page::page(&table, &parts)?;
    write_whole(&context.folder.join("report.html"), page.as_bytes())?;
    Ok(markdown)
}
