//! A table as Markdown, CSV and a data frame.

use anyhow::Result;
use mtcool_metrics::{Summary, WilcoxonTest};
use polars::prelude::{Column as Series, CsvWriter, DataFrame, SerWriter};

use super::comparison::{Comparison, note_on_runs};
use super::table::{Table, TableRow};
use crate::config::Cell;
use crate::datasets::Column;

/// Ours beside the paper's, aligned for a terminal, with a verdict below.
pub(super) fn markdown(table: &Table) -> String {
    let mut head = vec!["Method".to_owned(), "Params".into()];
    // Where nothing is known of the paper's figures, no room is left for them.
    let known = table.columns.iter().map(|column| table.rows.iter().any(|row| paper_cell(row, column).is_some()));
    let columns: Vec<(&Column, bool)> = table.columns.iter().zip(known).collect();
    for &(column, is_known) in &columns {
        head.push(column.label.to_owned());
        if is_known {
            head.extend(["paper".into(), "difference".into()]);
        }
    }
    head.extend(["runs".into(), "s/epoch".into()]);
    let mut lines: Vec<Vec<String>> = table.rows.iter().map(|row| cells(row, &columns)).collect();
    let first_block = table.rows.iter().filter(|row| row.is_in_first_block).count();
    if (1..lines.len()).contains(&first_block) {
        lines.insert(first_block, vec![String::new(); head.len()]);
    }
    let mut text = format!("## {}\n\n{}", table.heading(), grid(&head, &lines));
    for note in table.notes.iter().cloned().chain(verdicts(table)) {
        text += &format!("\n- {note}");
    }
    text + "\n" + &paired(table)
}

/// The lines below their head, columns as wide as what stands in them.
fn grid(head: &[String], lines: &[Vec<String>]) -> String {
    let all = || std::iter::once(head).chain(lines.iter().map(Vec::as_slice));
    let width = |at: usize| all().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let padded =
        |line: &[String]| row(line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect());
    let rule = row(widths.iter().map(|&width| "-".repeat(width)).collect());
    padded(head) + &rule + &lines.iter().map(|line| padded(line)).collect::<String>()
}

/// Each row against MT-COOL's, image by image.
fn paired(table: &Table) -> String {
    let Some(first) = table.comparisons.first() else { return String::new() };
    let pairs: Vec<_> = first.pairs.iter().filter(|(_, pair)| pair.is_some()).map(|&(column, _)| column).collect();
    let mut head = vec![format!("{} minus", first.subject)];
    for column in &pairs {
        head.extend([column.label.to_owned(), "p".into()]);
    }
    let line = |comparison: &Comparison| {
        let mut cells = vec![comparison.method.to_owned()];
        for (_, pair) in
            comparison.pairs.iter().filter(|(column, _)| pairs.iter().any(|other| other.label == column.label))
        {
            cells.push(pair.map_or_else(|| "-".into(), |pair| format!("{:+.2}", pair.difference)));
            cells.push(pair.map_or_else(
                || "-".into(),
                |pair| if pair.p < 0.001 { "<0.001".into() } else { format!("{:.3}", pair.p) },
            ));
        }
        cells
    };
    let images: Vec<String> =
        first.pairs.iter().filter_map(|(column, pair)| Some(format!("{} {}", (*pair)?.images, column.label))).collect();
    let lines: Vec<_> = table.comparisons.iter().map(line).collect();
    format!(
        "\n### Paired over {} images\n\n{}\nImages: {}. Each image counts with the mean of a method's runs; p is Wilcoxon's signed-rank test (the paired t-test where \
         more than {} images differ), two-sided, not corrected for the number of comparisons. It takes the trained networks as they are: other seeds are other networks.\n{}",
        table.split,
        grid(&head, &lines),
        images.join(", "),
        WilcoxonTest::MOST_PAIRS,
        note_on_runs(&table.comparisons)
    )
}

fn cells(row: &TableRow, columns: &[(&Column, bool)]) -> Vec<String> {
    let mut cells = vec![row.method.label.to_owned(), number(row.params, 2)];
    for (&(column, is_known), ours) in columns.iter().zip(&row.cells) {
        let paper = paper_cell(row, column);
        cells.push(ours.map_or_else(|| "-".into(), spread));
        if !is_known {
            continue;
        }
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

/// Who is best, here and in the paper, in words; nobody is where all rows have the same figure.
fn verdicts(table: &Table) -> Vec<String> {
    let best = |figure: &dyn Fn(&TableRow) -> Option<f64>| {
        let known: Vec<(&str, f64)> =
            table.rows.iter().filter_map(|row| Some((row.method.label, figure(row)?))).collect();
        let most = known.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
        let labels: Vec<&str> = known.iter().filter(|(_, value)| *value == most).map(|(label, _)| *label).collect();
        let all_alike = labels.len() == known.len() && known.len() > 1;
        (!labels.is_empty()).then(|| if all_alike { "none, all are alike".to_owned() } else { labels.join(", ") })
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
/// paper_std, data (`real` or `synthetic`).
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
        text("data", &|_, _| if table.is_synthetic { "synthetic" } else { "real" }),
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
