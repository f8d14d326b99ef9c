//! A table as Markdown, CSV and a data frame.

use anyhow::Result;
use polars::prelude::{Column as Series, CsvWriter, DataFrame, SerWriter};

use super::table::{Summary, Table, TableRow};
use crate::config::Cell;
use crate::datasets::Column;

/// Ours beside the paper's, aligned for a terminal, with a verdict below.
pub(super) fn markdown(table: &Table) -> String {
    let mut head = vec!["Method".to_owned(), "Params".into()];
    for column in table.columns {
        head.extend([column.label.to_owned(), "paper".into(), "difference".into()]);
    }
    head.extend(["runs".into(), "s/epoch".into()]);
    let lines: Vec<Vec<String>> =
        std::iter::once(head).chain(table.rows.iter().map(|row| cells(row, table.columns))).collect();
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    let mut text = format!("## {}\n\n", table.title);
    let first_block = table.rows.iter().filter(|row| row.is_in_first_block).count();
    for (index, line) in lines.iter().enumerate() {
        if index == first_block + 1 && first_block > 0 {
            let gap: Vec<_> = widths.iter().map(|&width| " ".repeat(width)).collect();
            text += &format!("| {} |\n", gap.join(" | "));
        }
        let padded: Vec<_> = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        text += &format!("| {} |\n", padded.join(" | "));
        if index == 0 {
            let rule: Vec<_> = widths.iter().map(|&width| "-".repeat(width)).collect();
            text += &format!("| {} |\n", rule.join(" | "));
        }
    }
    for note in table.notes.iter().cloned().chain(verdicts(table)) {
        text += &format!("\n- {note}");
    }
    text + "\n"
}

fn cells(row: &TableRow, columns: &[Column]) -> Vec<String> {
    let mut cells = vec![row.method.label.to_owned(), number(row.params, 2)];
    for (column, ours) in columns.iter().zip(&row.cells) {
        let paper = paper_cell(row, column);
        cells.push(ours.map_or_else(|| "-".into(), spread));
        cells.push(paper.map_or_else(|| "-".into(), |cell| format!("{:.2} ± {:.3}", cell.mean, cell.std)));
        cells.push(match (ours, paper) {
            (Some(ours), Some(paper)) => format!("{:+.2}", ours.mean - paper.mean),
            _ => "-".into(),
        });
    }
    cells.push(row.runs.to_string());
    cells.push(number(row.seconds_per_epoch, 1));
    cells
}

/// Who is best, here and in the paper, in words.
fn verdicts(table: &Table) -> Vec<String> {
    let best = |figure: &dyn Fn(&TableRow) -> Option<f64>| {
        let known = table.rows.iter().filter_map(|row| Some((row.method.label, figure(row)?)));
        known.reduce(|best, other| if other.1 > best.1 { other } else { best }).map(|(label, _)| label)
    };
    let verdict = |(at, column): (usize, &Column)| {
        let here = best(&|row| row.cells[at].map(|cell| cell.mean))?;
        let paper = best(&|row| paper_cell(row, column).map(|cell| cell.mean));
        let paper = paper.map(|label| format!("; in the paper, of these rows: {label}")).unwrap_or_default();
        Some(format!("Best on {}: {here}{paper}.", column.label))
    };
    table.columns.iter().enumerate().filter_map(verdict).collect()
}

fn paper_cell(row: &TableRow, column: &Column) -> Option<Cell> {
    row.reference.as_ref()?.cells.get(&format!("{}.{}", column.task, column.metric)).copied()
}

fn spread(summary: Summary) -> String {
    match summary.std {
        Some(std) => format!("{:.2} ± {std:.3}", summary.mean),
        None => format!("{:.2}", summary.mean),
    }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.digits$}"))
}

/// One row a figure: method, label, block (1: asked for by the experiment's file, 2: further methods), runs, params, paper_params, seconds_per_epoch, task, metric, mean, std, paper_mean,
/// paper_std.
///
/// # Errors
/// If polars refuses, which equal lengths rule out.
pub(super) fn frame(table: &Table) -> Result<DataFrame> {
    let pairs = || {
        table.rows.iter().flat_map(|row| table.columns.iter().enumerate().map(move |(at, column)| (row, at, column)))
    };
    let text = |name: &str, pick: &dyn Fn(&TableRow, &Column) -> &'static str| {
        Series::new(name.into(), pairs().map(|(row, _, column)| pick(row, column)).collect::<Vec<_>>())
    };
    let figure = |name: &str, pick: &dyn Fn(&TableRow, usize, &Column) -> Option<f64>| {
        Series::new(name.into(), pairs().map(|(row, at, column)| pick(row, at, column)).collect::<Vec<_>>())
    };
    let columns = vec![
        text("method", &|row, _| row.method.name),
        text("label", &|row, _| row.method.label),
        Series::new(
            "block".into(),
            pairs().map(|(row, ..)| if row.is_in_first_block { 1u64 } else { 2 }).collect::<Vec<_>>(),
        ),
        Series::new("runs".into(), pairs().map(|(row, ..)| row.runs as u64).collect::<Vec<_>>()),
        figure("params", &|row, _, _| row.params),
        figure("paper_params", &|row, _, _| row.reference.as_ref().map(|reference| reference.params)),
        figure("seconds_per_epoch", &|row, _, _| row.seconds_per_epoch),
        text("task", &|_, column| column.task),
        text("metric", &|_, column| column.metric),
        figure("mean", &|row, at, _| row.cells[at].map(|cell| cell.mean)),
        figure("std", &|row, at, _| row.cells[at].and_then(|cell| cell.std)),
        figure("paper_mean", &|row, _, column| paper_cell(row, column).map(|cell| cell.mean)),
        figure("paper_std", &|row, _, column| paper_cell(row, column).map(|cell| cell.std)),
    ];
    Ok(DataFrame::new(pairs().count(), columns)?)
}

/// [`frame`] as CSV.
///
/// # Errors
/// If polars refuses.
pub(super) fn csv(table: &Table) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    CsvWriter::new(&mut bytes).finish(&mut frame(table)?)?;
    Ok(bytes)
}
