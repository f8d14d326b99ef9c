//! A table as Markdown, CSV and a data frame.

use anyhow::Result;
use mtcool_metrics::WilcoxonTest;
use polars::prelude::{Column as Series, DataFrame};

use super::comparison::{Comparison, note_on_runs};
use super::row::TableRow;
use super::table::Table;
use crate::record::csv_bytes;
use crate::suite::Column;

/// The table with our results next to the paper's, aligned for a terminal, followed by notes and the paired comparison.
pub(super) fn markdown(table: &Table) -> String {
    let mut head = vec!["Method".to_owned(), "Params".into()];
    let shown: Vec<Shown> = (0..table.columns.len()).map(|at| Shown::of(table, at)).collect();
    for (column, shown) in table.columns.iter().zip(&shown) {
        head.push(column.label.to_string());
        match shown {
            Shown::OursAlone => {}
            Shown::ForOrientation => head.push("(paper)".into()),
            Shown::Compared => head.extend(["paper".into(), "difference".into()]),
        }
    }
    head.extend(["runs".into(), "s/epoch".into()]);
    let mut lines: Vec<Vec<String>> = table.rows.iter().map(|row| cells(row, &shown)).collect();
    let first_block = table.rows.iter().filter(|row| row.is_in_first_block).count();
    if (1..lines.len()).contains(&first_block) {
        lines.insert(first_block, vec![String::new(); head.len()]);
    }
    let mut text = format!("## {}\n\n{}", table.heading(), grid(&head, &lines));
    let orientation = shown.contains(&Shown::ForOrientation).then_some(table.paper_obstacle.as_ref()).flatten();
    let orientation = orientation.map(|reason| format!("The columns (paper) are for orientation only: {reason}."));
    for note in orientation.into_iter().chain(table.notes.iter().cloned()).chain(best_methods(table)) {
        text += &format!("\n- {note}");
    }
    text + "\n" + &paired(table) + &table.provenance.markdown()
}

/// What the table shows of the paper beside a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// Nothing, since the paper has no such column.
    OursAlone,
    /// The paper's results without differences, which would mean nothing.
    ForOrientation,
    /// The paper's results, the differences from them, and the verdicts.
    Compared,
}

impl Shown {
    /// For column `at`.
    fn of(table: &Table, at: usize) -> Self {
        match &table.paper_obstacle {
            _ if table.rows.iter().all(|row| row.against_paper[at].is_none()) => Self::OursAlone,
            Some(_) => Self::ForOrientation,
            None => Self::Compared,
        }
    }
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
                |pair| if pair.adjusted_p < 0.001 { "<0.001".into() } else { format!("{:.3}", pair.adjusted_p) },
            ));
        }
        cells
    };
    let images: Vec<String> =
        first.pairs.iter().filter_map(|(column, pair)| Some(format!("{} {}", (*pair)?.images, column.label))).collect();
    let lines: Vec<_> = table.comparisons.iter().map(line).collect();
    format!(
        "\n### Paired over {} images\n\n{}\nNumber of images: {}. The score of an image is the mean over a method's runs. The p-value is that of Wilcoxon's signed-rank test (of the paired t-test where \
         more than {} images differ), two-sided, with Holm's correction for all {} comparisons of this table. The test compares these trained networks; networks trained with other seeds may give other differences.\n{}",
        table.split,
        grid(&head, &lines),
        images.join(", "),
        WilcoxonTest::MOST_PAIRS,
        table.comparisons.iter().flat_map(|comparison| &comparison.pairs).filter(|(_, pair)| pair.is_some()).count(),
        note_on_runs(&table.comparisons)
    )
}

fn cells(row: &TableRow, shown: &[Shown]) -> Vec<String> {
    let mut cells = vec![row.method.label.to_string(), number(row.params, 2)];
    for ((ours, paper), shown) in row.cells.iter().zip(&row.against_paper).zip(shown) {
        cells.push(ours.map_or_else(|| "-".into(), |cell| spread(cell.mean, cell.std)));
        if *shown != Shown::OursAlone {
            cells.push(paper.map_or_else(|| "-".into(), |cell| spread(cell.paper.mean, cell.paper.std)));
        }
        if *shown == Shown::Compared {
            let difference = paper.and_then(|cell| Some(format!("{:+.2} {}", cell.difference?, cell.verdict.mark())));
            cells.push(difference.unwrap_or_else(|| "-".into()));
        }
    }
    cells.push(row.runs.to_string());
    cells.push(number(row.seconds_per_epoch, 1));
    cells
}

/// Sentences that name the best methods of each column, here and in the paper. If all rows have the same value, none is best.
fn best_methods(table: &Table) -> Vec<String> {
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
        let paper = best(column, &|row| row.against_paper[at].map(|cell| cell.paper.mean));
        let paper = paper.map(|label| format!("; in the paper, among these rows: {label}")).unwrap_or_default();
        Some(format!("Best on {}: {here}{paper}.", column.label))
    };
    table.columns.iter().enumerate().filter_map(verdict).collect()
}

fn spread(mean: f64, std: Option<f64>) -> String {
    match std {
        Some(std) => format!("{mean:.2} ± {std:.3}"),
        None => format!("{mean:.2}"),
    }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.digits$}"))
}

/// The table with one row per method and column: method, label, block (1: named by the experiment's file, 2: other methods),
/// runs, params, paper_params, seconds_per_epoch, task, metric, mean, std, paper_mean, paper_std, difference (from the paper's
/// mean) with the ends of its 95 % interval, verdict, data (`real` or `synthetic`).
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
        figure("paper_params", &|row, _, _| row.paper_params),
        figure("seconds_per_epoch", &|row, _, _| row.seconds_per_epoch),
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
    use mtcool_metrics::Summary;

    use super::super::against_paper::AgainstPaper;
    use super::super::provenance::Provenance;
    use super::super::verdict::Verdict;
    use super::*;
    use crate::plan::Cell;

    fn against(difference: Option<f64>, std: Option<f64>, verdict: Verdict) -> Option<AgainstPaper> {
        Some(AgainstPaper { paper: Cell { mean: 99.5, std }, difference, interval: None, verdict })
    }

    /// Three columns: one with a deviation in the paper, one without, one that the paper does not have.
    fn table(obstacle: Option<&str>) -> Table {
        let cell = |mean| Some(Summary { mean, std: Some(0.25), count: 2 });
        let difference = |value: f64| obstacle.is_none().then_some(value);
        let mut joint = TableRow::example("joint", 1.0, vec![cell(99.25), cell(99.75), cell(1.0)]);
        joint.against_paper = vec![
            against(difference(-0.25), Some(0.0625), Verdict::NotReproduced),
            against(difference(0.25), None, Verdict::Reproduced),
            None,
        ];
        let mut mtcool = TableRow::example("mtcool", 1.0, vec![cell(99.5), None, cell(2.0)]);
        mtcool.against_paper = vec![
            against(difference(0.0), Some(0.0625), Verdict::CannotBeCompared),
            against(None, None, Verdict::CannotBeCompared),
            None,
        ];
        Table {
            title: "A table".into(),
            columns: ["First", "Second", "Third"].map(|label| Column::new("task", "metric", label)).into(),
            rows: vec![joint, mtcool],
            is_synthetic: obstacle.is_some(),
            split: "test",
            comparisons: Vec::new(),
            paper_obstacle: obstacle.map(str::to_owned),
            notes: vec!["A note.".into()],
            runs: Vec::new(),
            provenance: Provenance::default(),
        }
    }

    /// The cells of the line that begins with `label`.
    fn line<'a>(markdown: &'a str, label: &str) -> Vec<&'a str> {
        let line = markdown.lines().find(|line| line.starts_with(&format!("| {label} "))).unwrap();
        line.trim_matches('|').split('|').map(str::trim).collect()
    }

    #[test]
    fn differences_carry_the_mark_of_their_verdict() {
        let text = markdown(&table(None));
        let head = [
            "Method",
            "Params",
            "First",
            "paper",
            "difference",
            "Second",
            "paper",
            "difference",
            "Third",
            "runs",
            "s/epoch",
        ];
        assert_eq!(line(&text, "Method"), head);
        let joint = ["99.25 ± 0.250", "99.50 ± 0.062", "-0.25 ✗", "99.75 ± 0.250", "99.50", "+0.25 ✓", "1.00 ± 0.250"];
        assert_eq!(line(&text, "Joint")[2..9], joint);
        let mtcool = ["99.50 ± 0.250", "99.50 ± 0.062", "+0.00 ?", "-", "99.50", "-", "2.00 ± 0.250"];
        assert_eq!(line(&text, "MT-COOL (Ours)")[2..9], mtcool);
        assert!(!text.contains("orientation"), "{text}");
    }

    #[test]
    fn results_that_cannot_be_compared_have_no_difference() {
        let text = markdown(&table(Some("ours belong to synthetic data")));
        let head = ["Method", "Params", "First", "(paper)", "Second", "(paper)", "Third", "runs", "s/epoch"];
        assert_eq!(line(&text, "Method"), head);
        assert_eq!(line(&text, "Joint")[2..6], ["99.25 ± 0.250", "99.50 ± 0.062", "99.75 ± 0.250", "99.50"]);
        assert!(
            text.contains("- The columns (paper) are for orientation only: ours belong to synthetic data."),
            "{text}"
        );
        assert!(Verdict::ALL.iter().all(|verdict| !text.contains(&format!(" {} |", verdict.mark()))), "{text}");
    }

    #[test]
    fn the_data_frame_has_the_verdicts_in_words() {
        let frame = frame(&table(None)).unwrap();
        let verdicts: Vec<Option<&str>> = frame.column("verdict").unwrap().str().unwrap().iter().collect();
        let [yes, no, unknown] = Verdict::ALL.map(|verdict| Some(verdict.words()));
        assert_eq!(verdicts, [no, yes, None, unknown, unknown, None]);
        let differences: Vec<Option<f64>> = frame.column("difference").unwrap().f64().unwrap().iter().collect();
        assert_eq!(differences, [Some(-0.25), Some(0.25), None, Some(0.0), None, None]);
        let spread: Vec<Option<f64>> = frame.column("paper_std").unwrap().f64().unwrap().iter().collect();
        assert_eq!(spread, [Some(0.0625), None, None, Some(0.0625), None, None]);
    }
}
