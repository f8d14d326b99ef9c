//! A table as Markdown, CSV and a data frame.

use anyhow::Result;
use mtcool_metrics::{Summary, WilcoxonTest};
use polars::prelude::{Column as Series, CsvWriter, DataFrame, SerWriter};

use super::comparison::{Comparison, note_on_runs};
use super::row::TableRow;
use super::table::Table;
use crate::plan::Cell;
use crate::suite::Column;

/// The table with our results next to the paper's, aligned for a terminal, followed by notes and the paired comparison.
pub(super) fn markdown(table: &Table) -> String {
    let mut head = vec!["Method".to_owned(), "Params".into()];
    // A column without any result of the paper has no columns for the paper and the difference.
    let known = table.columns.iter().map(|column| table.rows.iter().any(|row| paper_cell(row, column).is_some()));
    let columns: Vec<(&Column, bool)> = table.columns.iter().zip(known).collect();
    for &(column, is_known) in &columns {
        head.push(column.label.to_string());
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

/// The header and the lines as a Markdown table. Each column is as wide as its longest entry.
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

/// The paired comparison of the subject with each other method.
fn paired(table: &Table) -> String {
    let Some(first) = table.comparisons.first() else { return String::new() };
    let pairs: Vec<_> = first.pairs.iter().filter(|(_, pair)| pair.is_some()).map(|(column, _)| column).collect();
    let mut head = vec![format!("{} minus", first.subject)];
    for column in &pairs {
        head.extend([column.label.to_string(), "p".into()]);
    }
    let line = |comparison: &Comparison| {
        let mut cells = vec![comparison.method.to_string()];
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
        "\n### Paired over {} images\n\n{}\nNumber of images: {}. The score of an image is the mean over a method's runs. The p-value is that of Wilcoxon's signed-rank test (of the paired t-test where \
         more than {} images differ), two-sided and not corrected for the number of comparisons. The test compares these trained networks; networks trained with other seeds may give other differences.\n{}",
        table.split,
        grid(&head, &lines),
        images.join(", "),
        WilcoxonTest::MOST_PAIRS,
        note_on_runs(&table.comparisons)
    )
}

fn cells(row: &TableRow, columns: &[(&Column, bool)]) -> Vec<String> {
    let mut cells = vec![row.method.label.to_string(), number(row.params, 2)];
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

/// Sentences that name the best methods of each column, here and in the paper. If all rows have the same value, none is best.
fn verdicts(table: &Table) -> Vec<String> {
    let best = |column: &Column, figure: &dyn Fn(&TableRow) -> Option<f64>| {
        let known: Vec<(&str, f64)> =
            table.rows.iter().filter_map(|row| Some((&*row.method.label, figure(row)?))).collect();
        let values = known.iter().map(|(_, value)| *value);
        let most = if column.is_lower_better {
            values.fold(f64::INFINITY, f64::min)
        } else {
            values.fold(f64::NEG_INFINITY, f64::max)
        };
        let labels: Vec<&str> = known.iter().filter(|(_, value)| *value == most).map(|(label, _)| *label).collect();
        let all_alike = labels.len() == known.len() && known.len() > 1;
        (!labels.is_empty()).then(|| if all_alike { "none, all are equal".to_owned() } else { labels.join(", ") })
    };
    let verdict = |(at, column): (usize, &Column)| {
        let here = best(column, &|row| row.cells[at].map(|cell| cell.mean))?;
        let paper = best(column, &|row| paper_cell(row, column).map(|cell| cell.mean));
        let paper = paper.map(|label| format!("; in the paper, among these rows: {label}")).unwrap_or_default();
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

/// The table with one row per method and column: method, label, block (1: named by the experiment's file, 2: other methods),
/// runs, params, paper_params, seconds_per_epoch, task, metric, mean, std, paper_mean, paper_std, data (`real` or `synthetic`).
///
/// # Errors
/// If polars fails, which cannot happen because all columns have the same length.
pub(super) fn frame(table: &Table) -> Result<DataFrame> {
    let pairs = || {
        table.rows.iter().flat_map(|row| table.columns.iter().enumerate().map(move |(at, column)| (row, at, column)))
    };
    let text = |name: &str, pick: &dyn Fn(&TableRow, &Column) -> String| {
        Series::new(name.into(), pairs().map(|(row, _, column)| pick(row, column)).collect::<Vec<_>>())
    };
    let figure = |name: &str, pick: &dyn Fn(&TableRow, usize, &Column) -> Option<f64>| {
        Series::new(name.into(), pairs().map(|(row, at, column)| pick(row, at, column)).collect::<Vec<_>>())
    };
    let columns = vec![
        text("method", &|row, _| row.method.name.to_string()),
        text("label", &|row, _| row.method.label.to_string()),
        Series::new(
            "block".into(),
            pairs().map(|(row, ..)| if row.is_in_first_block { 1u64 } else { 2 }).collect::<Vec<_>>(),
        ),
        Series::new("runs".into(), pairs().map(|(row, ..)| row.runs as u64).collect::<Vec<_>>()),
        figure("params", &|row, _, _| row.params),
        figure("paper_params", &|row, _, _| row.reference.as_ref().map(|reference| reference.params)),
        figure("seconds_per_epoch", &|row, _, _| row.seconds_per_epoch),
        text("task", &|_, column| column.task.to_string()),
        text("metric", &|_, column| column.metric.to_string()),
        figure("mean", &|row, at, _| row.cells[at].map(|cell| cell.mean)),
        figure("std", &|row, at, _| row.cells[at].and_then(|cell| cell.std)),
        figure("paper_mean", &|row, _, column| paper_cell(row, column).map(|cell| cell.mean)),
        figure("paper_std", &|row, _, column| paper_cell(row, column).map(|cell| cell.std)),
        text("data", &|_, _| if table.is_synthetic { "synthetic".into() } else { "real".into() }),
    ];
    Ok(DataFrame::new(pairs().count(), columns)?)
}

/// [`frame`] as CSV.
///
/// # Errors
/// If polars fails.
pub(super) fn csv(table: &Table) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    CsvWriter::new(&mut bytes).finish(&mut frame(table)?)?;
    Ok(bytes)
}
