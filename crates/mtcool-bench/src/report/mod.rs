//! The table of an experiment, from the runs that are finished. Nothing here trains.

mod comparison;
pub mod figure;
mod html;
mod plot;
mod render;
mod table;

use std::path::Path;

use anyhow::Result;
use figment::Figment;

use crate::config::{DataIdentity, Experiment};
use crate::datasets::{Caveat, Suite};
use crate::record::{parquet_bytes, write_whole};

pub use comparison::Comparison;
pub use table::{Table, TableRow};

/// What a table is about.
pub struct TableContext<'a> {
    /// The experiment's name.
    pub name: &'a str,
    /// Its configuration, a profile chosen.
    pub experiment: &'a Experiment,
    /// The same, for methods' own settings.
    pub figment: &'a Figment,
    /// What the data of its runs are.
    pub data: &'a DataIdentity,
    /// How its files differ from the published ones.
    pub caveats: &'a [Caveat],
    /// The experiment's results.
    pub folder: &'a Path,
}

/// Writes `table.md`, `table.csv`, `table.parquet` and `report.html`, and `figure.svg` and `figure.png` where the data is at hand
/// and has dense tasks; returns the Markdown.
///
/// # Errors
/// If a run's files cannot be read or the disk does not take the table.
pub fn write(context: &TableContext<'_>, suite: Option<&dyn Suite>) -> Result<String> {
    let table = Table::collect(context)?;
    let markdown = render::markdown(&table);
    write_whole(&context.folder.join("table.md"), markdown.as_bytes())?;
    write_whole(&context.folder.join("table.csv"), &render::csv(&table)?)?;
    write_whole(&context.folder.join("table.parquet"), &parquet_bytes(render::frame(&table)?)?)?;
    let figure = match suite {
        Some(suite) => figure::draw(&table, suite)?,
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
