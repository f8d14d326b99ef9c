//! [`Overall`]: one number per method over all columns of a table.

use mtcool_metrics::{Better, TaskFigure, delta_m, mean_ranks};

use super::row::TableRow;
use crate::suite::Column;

/// What a method reaches over all columns.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Overall {
    /// Mean over the tasks of the relative difference from training each task alone, in per cent, positive where it is better
    /// (Maninis et al. 2019, Eq. 4). A task with several columns counts once, with their mean.
    pub(super) delta_m: Option<f64>,
    /// Mean over the columns of the method's rank, 1 for the best.
    pub(super) mean_rank: Option<f64>,
}

/// For each row; `None` where it lacks a result. Delta-m is taken against the row of the method called `alone`, which itself has
/// none. Ranks need two complete rows.
pub(super) fn overall(rows: &[TableRow], columns: &[Column], alone: &str) -> Vec<Overall> {
    let complete: Vec<Option<Vec<f64>>> = rows.iter().map(complete_means).collect();
    let baseline =
        rows.iter().zip(&complete).find(|(row, _)| row.method.name == alone).and_then(|(_, cells)| cells.as_ref());
    let ranked: Vec<&Vec<f64>> = complete.iter().flatten().collect();
    let mut ranks = ranks(&ranked, columns).into_iter();
    let of_row = |(row, cells): (&TableRow, &Option<Vec<f64>>)| {
        let cells = cells.as_ref();
        let is_other = row.method.name != alone;
        Overall {
            delta_m: cells.zip(baseline).filter(|_| is_other).and_then(|(own, base)| against(own, base, columns)),
            mean_rank: cells.and_then(|_| ranks.next().flatten()),
        }
    };
    rows.iter().zip(&complete).map(of_row).collect()
}

/// The means of a row's cells; `None` if one is missing or not finite, or if there are no columns.
fn complete_means(row: &TableRow) -> Option<Vec<f64>> {
    let mean = |cell: &Option<mtcool_metrics::Summary>| cell.map(|cell| cell.mean).filter(|mean| mean.is_finite());
    row.cells.iter().map(mean).collect::<Option<Vec<f64>>>().filter(|cells| !cells.is_empty())
}

fn better(column: &Column) -> Better {
    if column.is_lower_better { Better::Smaller } else { Better::Larger }
}

/// The mean ranks of complete rows; `None` for each if there are fewer than two.
fn ranks(rows: &[&Vec<f64>], columns: &[Column]) -> Vec<Option<f64>> {
    let of_column = |at: usize| rows.iter().map(|row| row[at]).collect::<Vec<f64>>();
    let figures: Vec<Vec<f64>> = (0..columns.len()).map(of_column).collect();
    let figures: Vec<(&[f64], Better)> = figures.iter().map(Vec::as_slice).zip(columns.iter().map(better)).collect();
    match mean_ranks(&figures) {
        Ok(ranks) if rows.len() > 1 => ranks.into_iter().map(Some).collect(),
        _ => vec![None; rows.len()],
    }
}

/// Delta-m of `own` against `baseline`; `None` if a baseline is not above 0, since no difference is relative to it.
fn against(own: &[f64], baseline: &[f64], columns: &[Column]) -> Option<f64> {
    let mut tasks: Vec<&str> = columns.iter().map(|column| &*column.task).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let of_task = |task: &str| -> Option<f64> {
        let of_column = |((&method, &baseline), column): ((&f64, &f64), &Column)| {
            (column.task == task).then(|| TaskFigure { method, baseline, better: better(column) })
        };
        let figures: Vec<TaskFigure> = own.iter().zip(baseline).zip(columns).filter_map(of_column).collect();
        delta_m(&figures).ok().flatten()
    };
    let of_tasks = tasks.iter().map(|task| of_task(task)).collect::<Option<Vec<f64>>>()?;
    Some(of_tasks.iter().sum::<f64>() / of_tasks.len() as f64)
}

#[cfg(test)]
mod tests {
    use mtcool_metrics::Summary;

    use super::*;

    fn row(method: &str, means: &[f64]) -> TableRow {
        let cell = |&mean: &f64| Some(Summary { mean, std: None, count: 1 });
        TableRow::example(method, 1.0, means.iter().map(cell).collect())
    }

    #[test]
    fn a_task_counts_once_however_many_columns_it_has() {
        let columns = [
            Column::new("a", "accuracy", "A"),
            Column::new("b", "f1", "B"),
            Column::new("b", "error", "B error").lower_is_better(),
        ];
        let rows = [
            row("independent", &[80.0, 50.0, 0.4]),
            row("joint", &[88.0, 60.0, 0.5]),
            row("mtcool", &[80.0, 40.0, 0.2]),
        ];
        let found = overall(&rows, &columns, "independent");
        // Joint: +10 on a; +20 and -25 on b, so -2.5. MT-COOL: 0 on a; -20 and +50 on b, so +15.
        assert_eq!(found[0].delta_m, None);
        assert!((found[1].delta_m.unwrap() - (10.0 - 2.5) / 2.0).abs() < 1e-12);
        assert!((found[2].delta_m.unwrap() - 7.5).abs() < 1e-12);
        // Ranks in a: 2.5, 1, 2.5; in b: 2, 1, 3; in the error: 2, 3, 1.
        let ranks: Vec<f64> = found.iter().map(|row| row.mean_rank.unwrap()).collect();
        assert!(
            ranks.iter().zip([6.5 / 3.0, 5.0 / 3.0, 6.5 / 3.0]).all(|(got, want)| (got - want).abs() < 1e-12),
            "{ranks:?}"
        );
    }

    #[test]
    fn rows_with_a_missing_result_are_left_out() {
        let columns = [Column::new("a", "accuracy", "A"), Column::new("b", "auroc", "B")];
        let mut lacking = row("mtcool", &[90.0, 90.0]);
        lacking.cells[1] = None;
        let rows =
            [row("independent", &[80.0, 50.0]), lacking, row("joint", &[70.0, f64::NAN]), row("mgda", &[80.0, 60.0])];
        let found = overall(&rows, &columns, "independent");
        assert_eq!(found.iter().map(|row| row.mean_rank).collect::<Vec<_>>(), [Some(1.75), None, None, Some(1.25)]);
        assert_eq!(found.iter().map(|row| row.delta_m).collect::<Vec<_>>(), [None, None, None, Some(10.0)]);
        assert_eq!(overall(&rows[..1], &columns, "independent"), [Overall::default()], "one row has no rank");
        let without_baseline = overall(&rows[2..], &columns, "independent");
        assert!(without_baseline.iter().all(|row| row.delta_m.is_none()));
        let zero = [row("independent", &[0.0, 50.0]), row("mgda", &[80.0, 60.0])];
        assert_eq!(overall(&zero, &columns, "independent")[1].delta_m, None, "nothing is relative to 0");
    }
}
