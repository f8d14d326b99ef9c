//! The table as a data frame and as CSV.

use anyhow::Result;
use polars::prelude::{Column as Series, DataFrame};

use super::overall::{Overall, overall};
use super::row::TableRow;
use super::table::Table;
use crate::record::csv_bytes;
use crate::suite::Column;

/// The table with one row per method and column: method, label, block (1: named by the experiment's file, 2: other methods),
/// runs, params, paper_params, seconds_per_epoch, delta_m (per cent), mean_rank, task, metric, mean, std, paper_mean, paper_std,
/// difference (from the paper's mean) with the ends of its 95 % interval, verdict, data (`real` or `synthetic`).
///
/// # Errors
/// If polars fails, which cannot happen because all columns have the same length.
pub(super) fn frame(table: &Table) -> Result<DataFrame> {
    let all = overall(&table.rows, &table.columns, &table.roles.alone);
    let pairs = || {
        table.rows.iter().flat_map(|row| table.columns.iter().enumerate().map(move |(at, column)| (row, at, column)))
    };
    let text = |name: &str, pick: &dyn Fn(&TableRow, &Column) -> String| {
        Series::new(name.into(), pairs().map(|(row, _, column)| pick(row, column)).collect::<Vec<_>>())
    };
    let figure = |name: &str, pick: &dyn Fn(&TableRow, usize, &Column) -> Option<f64>| {
        Series::new(name.into(), pairs().map(|(row, at, column)| pick(row, at, column)).collect::<Vec<_>>())
    };
    let of_all = |name: &str, pick: &dyn Fn(&Overall) -> Option<f64>| {
        let picked = all.iter().flat_map(|row| std::iter::repeat_n(pick(row), table.columns.len()));
        Series::new(name.into(), picked.collect::<Vec<_>>())
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
        figure("paper_params", &|row, _, _| row.paper_params),
        figure("seconds_per_epoch", &|row, _, _| row.seconds_per_epoch),
        of_all("delta_m", &|row| row.delta_m),
        of_all("mean_rank", &|row| row.mean_rank),
        text("task", &|_, column| column.task.to_string()),
        text("metric", &|_, column| column.metric.to_string()),
        figure("mean", &|row, at, _| row.cells[at].map(|cell| cell.mean)),
        figure("std", &|row, at, _| row.cells[at].and_then(|cell| cell.std)),
        figure("paper_mean", &|row, at, _| row.against_paper[at].map(|cell| cell.paper.mean)),
        figure("paper_std", &|row, at, _| row.against_paper[at].and_then(|cell| cell.paper.std)),
        figure("difference", &|row, at, _| row.against_paper[at].and_then(|cell| cell.difference)),
        figure("difference_low", &|row, at, _| row.against_paper[at].and_then(|cell| Some(cell.interval?.low))),
        figure("difference_high", &|row, at, _| row.against_paper[at].and_then(|cell| Some(cell.interval?.high))),
        Series::new(
            "verdict".into(),
            pairs().map(|(row, at, _)| row.against_paper[at].map(|cell| cell.verdict.words())).collect::<Vec<_>>(),
        ),
        text("data", &|_, _| if table.is_synthetic { "synthetic".into() } else { "real".into() }),
    ];
    Ok(DataFrame::new(pairs().count(), columns)?)
}

/// [`frame`] as CSV.
///
/// # Errors
/// If polars fails.
pub(super) fn csv(table: &Table) -> Result<Vec<u8>> {
    csv_bytes(frame(table)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::verdict::Verdict;

    #[test]
    fn the_data_frame_has_the_verdicts_in_words() {
        let frame = frame(&Table::example(None)).unwrap();
        let verdicts: Vec<Option<&str>> = frame.column("verdict").unwrap().str().unwrap().iter().collect();
        let [yes, no, unknown] = Verdict::ALL.map(|verdict| Some(verdict.words()));
        assert_eq!(verdicts, [no, yes, None, unknown, unknown, None]);
        let differences: Vec<Option<f64>> = frame.column("difference").unwrap().f64().unwrap().iter().collect();
        assert_eq!(differences, [Some(-0.25), Some(0.25), None, Some(0.0), None, None]);
        let spread: Vec<Option<f64>> = frame.column("paper_std").unwrap().f64().unwrap().iter().collect();
        assert_eq!(spread, [Some(0.0625), None, None, Some(0.0625), None, None]);
    }
}
