//! [`Flatness`]: how much the training losses rise when weights are moved, and whether flat methods transfer more.

use anyhow::Result;
use mtcool_metrics::{Bootstrap, Interval, Summary, rank_correlation};

use super::grid::grid;
use super::interval::mean_interval;
use super::row::TableRow;
use super::scores::run_values;
use super::table::Table;
use crate::record::{Moved, MovedLoss, read_flatness};
use crate::suite::{Column, Name};

/// Number of resamples of a correlation's interval.
const RESAMPLES: usize = 2000;

/// What was measured on the runs of a table.
pub(super) struct Flatness {
    /// The half-widths of the noise, ascending.
    pub(super) radii: Vec<f64>,
    /// The rises of the loss.
    pub(super) rises: Vec<Rise>,
    /// The correlations of rise and transfer; empty if the method that trains each task alone has no runs.
    pub(super) correlations: Vec<Correlation>,
}

/// The rise of a task's loss above its value without noise, for one method and radius.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rise {
    /// The index of the method's row.
    pub(super) row: usize,
    /// The task.
    pub(super) task: Name,
    /// Whose weights were moved.
    pub(super) moved: Moved,
    /// The half-width of the noise.
    pub(super) radius: f64,
    /// One value per measured run.
    pub(super) values: Vec<f64>,
    /// The 95 % interval of their mean; `None` for a single run.
    pub(super) interval: Option<[f64; 2]>,
}

/// Spearman's correlation, over the runs of all methods with a shared network, between the rise of a task's loss and the task's
/// transfer: its metric's relative difference from training the task alone, in per cent, as the mean over its columns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Correlation {
    /// The task.
    pub(super) task: Name,
    /// Whose weights were moved.
    pub(super) moved: Moved,
    /// The half-width of the noise.
    pub(super) radius: f64,
    /// Number of runs.
    pub(super) runs: usize,
    /// The correlation with its 95 % interval over runs.
    pub(super) value: Interval,
}

/// A measured run: its row, its losses, and its transfer per task.
struct Measured {
    row: usize,
    losses: Vec<MovedLoss>,
    transfer: Vec<(Name, f64)>,
}

impl Flatness {
    /// Of the runs of `table` that have been measured; `None` if there are none.
    ///
    /// # Errors
    /// If a file of a run is damaged.
    pub(super) fn of(table: &Table) -> Result<Option<Self>> {
        let mut runs = Vec::new();
        for (row, found) in table.rows.iter().enumerate() {
            for (run, folder) in found.folders.iter().enumerate() {
                if let Some(losses) = read_flatness(folder)? {
                    runs.push(Measured { row, losses, transfer: transfer(table, found, run) });
                }
            }
        }
        Self::of_runs(&runs)
    }

    fn of_runs(runs: &[Measured]) -> Result<Option<Self>> {
        let mut points: Vec<(Name, Moved, f64)> = Vec::new();
        for entry in runs.iter().flat_map(|run| &run.losses) {
            let point = (entry.task.clone(), entry.moved, entry.radius);
            if !points.contains(&point) {
                points.push(point);
            }
        }
        if points.is_empty() {
            return Ok(None);
        }
        let mut radii: Vec<f64> = points.iter().map(|(_, _, radius)| *radius).collect();
        radii.sort_by(f64::total_cmp);
        radii.dedup();
        let mut rises: Vec<Rise> = Vec::new();
        let mut correlations = Vec::new();
        for (task, moved, radius) in &points {
            let rise = |run: &Measured| {
                let fits = |entry: &&MovedLoss| (&entry.task, entry.moved, entry.radius) == (task, *moved, *radius);
                run.losses.iter().find(fits).map(|entry| entry.loss - entry.at_zero).filter(|rise| rise.is_finite())
            };
            for run in runs {
                let Some(value) = rise(run) else { continue };
                let (row, task, moved, radius) = (run.row, task.clone(), *moved, *radius);
                let known = |known: &&mut Rise| {
                    (known.row, &known.task, known.moved, known.radius) == (row, &task, moved, radius)
                };
                match rises.iter_mut().find(known) {
                    Some(known) => known.values.push(value),
                    None => rises.push(Rise { row, task, moved, radius, values: vec![value], interval: None }),
                }
            }
            let pair = |run: &Measured| {
                let transfer = run.transfer.iter().find(|(other, _)| other == task).map(|(_, transfer)| *transfer)?;
                Some((rise(run)?, transfer))
            };
            let pairs: Vec<(f64, f64)> = runs.iter().filter_map(pair).collect();
            if let Some(value) = correlation(&pairs) {
                correlations.push(Correlation {
                    task: task.clone(),
                    moved: *moved,
                    radius: *radius,
                    runs: pairs.len(),
                    value,
                });
            }
        }
        for rise in &mut rises {
            rise.interval = Summary::of(&rise.values).map(|summary| mean_interval(&summary)).transpose()?.flatten();
        }
        Ok(Some(Self { radii, rises, correlations }))
    }

    /// What `mtcool flatness` prints: for each task and kind of movement, the mean rise of each method, and the correlations.
    pub(super) fn markdown(&self, table: &Table) -> String {
        let mut text = String::from(
            "## Flatness: rise of the training loss when weights are moved by uniform noise of half-width r\n",
        );
        let head = |first: &str| {
            let radii = self.radii.iter().map(|radius| format!("r = {radius}"));
            std::iter::once(first.to_owned()).chain(radii).collect::<Vec<String>>()
        };
        for (task, moved) in self.kinds() {
            let of_row = |(at, row): (usize, &TableRow)| {
                let cell = |radius: &f64| {
                    let fits =
                        |rise: &&Rise| (rise.row, &rise.task, rise.moved, rise.radius) == (at, &task, moved, *radius);
                    let rise = self.rises.iter().find(fits)?;
                    let mean = Summary::of(&rise.values)?.mean;
                    Some(match rise.interval {
                        Some([low, high]) => format!("{mean:+.4} ({low:+.4} to {high:+.4})"),
                        None => format!("{mean:+.4}"),
                    })
                };
                let cells: Vec<Option<String>> = self.radii.iter().map(cell).collect();
                let cells = cells.iter().any(Option::is_some).then_some(cells)?;
                let cells = cells.into_iter().map(|cell| cell.unwrap_or_else(|| "-".into()));
                Some(std::iter::once(row.method.label.to_string()).chain(cells).collect::<Vec<String>>())
            };
            let lines: Vec<Vec<String>> = table.rows.iter().enumerate().filter_map(of_row).collect();
            let title = title(&task, moved);
            text += &format!("\n### {title}\n\n{}", grid(&head("Method"), &lines));
        }
        if self.rises.iter().any(|rise| rise.interval.is_some()) {
            text += "\nIn brackets: the 95 % interval of the mean over the runs (Student's t).\n";
        }
        if !self.correlations.is_empty() {
            let line = |(task, moved): (Name, Moved)| {
                let cell = |radius: &f64| {
                    let fits =
                        |found: &&Correlation| (&found.task, found.moved, found.radius) == (&task, moved, *radius);
                    self.correlations.iter().find(fits).map_or_else(
                        || "-".into(),
                        |found| {
                            format!(
                                "{:+.2} ({:+.2} to {:+.2})",
                                found.value.estimate, found.value.low, found.value.high
                            )
                        },
                    )
                };
                std::iter::once(title(&task, moved)).chain(self.radii.iter().map(cell)).collect::<Vec<String>>()
            };
            let lines: Vec<Vec<String>> = self.kinds().into_iter().map(line).collect();
            let table = grid(&head("Spearman's correlation"), &lines);
            text += &format!("\n### Rise and transfer\n\n{table}\n{}\n", self.note());
        }
        text
    }

    /// What the correlations say, and over how many runs.
    pub(super) fn note(&self) -> String {
        let runs = self.correlations.iter().map(|found| found.runs).max().unwrap_or(0);
        format!(
            "Correlation over {runs} runs of methods with a shared network, with the 95 % interval over runs. Transfer is the \
             task's relative difference from training it alone. A negative correlation means that methods with flatter losses transfer \
             more. The runs of one method are alike, so the intervals are rather too narrow."
        )
    }

    /// Tasks and kinds of movement.
    pub(super) fn kinds(&self) -> Vec<(Name, Moved)> {
        let mut kinds: Vec<(Name, Moved)> = Vec::new();
        for rise in &self.rises {
            let kind = (rise.task.clone(), rise.moved);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds
    }
}

/// The words for a task's loss where weights are moved.
pub(super) fn title(task: &str, moved: Moved) -> String {
    match moved {
        Moved::Others => format!("{task}, the other tasks' weights moved"),
        Moved::Own => format!("{task}, its own weights moved"),
    }
}

/// The transfer of run `run` of `row`, by task; empty for the method that trains each task alone, or if it has no runs.
fn transfer(table: &Table, row: &TableRow, run: usize) -> Vec<(Name, f64)> {
    let alone = table.rows.iter().find(|other| other.method.name == table.roles.alone.as_str() && other.runs > 0);
    let Some(alone) = alone.filter(|alone| alone.method.name != row.method.name) else { return Vec::new() };
    let (history, stored) = (&row.histories[run..=run], row.stored.get(run..=run).unwrap_or_default());
    let mut by_task: Vec<(Name, Vec<f64>)> = Vec::new();
    for (column, baseline) in table.columns.iter().zip(&alone.cells) {
        let value = run_values(history, stored, column, table.split).first().copied();
        let Some(change) = change(column, value, baseline.map(|cell| cell.mean)) else { continue };
        match by_task.iter_mut().find(|(task, _)| *task == column.task) {
            Some((_, changes)) => changes.push(change),
            None => by_task.push((column.task.clone(), vec![change])),
        }
    }
    by_task.into_iter().map(|(task, changes)| (task, changes.iter().sum::<f64>() / changes.len() as f64)).collect()
}

/// The relative difference in per cent, positive where `value` is better; `None` if the baseline is not above 0.
fn change(column: &Column, value: Option<f64>, baseline: Option<f64>) -> Option<f64> {
    let (value, baseline) = (value?, baseline.filter(|baseline| *baseline > 0.0)?);
    let change = 100.0 * (value - baseline) / baseline;
    Some(if column.is_lower_better { -change } else { change }).filter(|change| change.is_finite())
}

/// Spearman's correlation of pairs with its interval; `None` with fewer than four, or if one side is always the same.
fn correlation(pairs: &[(f64, f64)]) -> Option<Interval> {
    if pairs.len() < 4 {
        return None;
    }
    let of = |drawn: &[usize]| {
        let (a, b): (Vec<f64>, Vec<f64>) = drawn.iter().map(|&at| pairs[at]).unzip();
        rank_correlation(&a, &b).ok().flatten()
    };
    Bootstrap { resamples: RESAMPLES, ..Bootstrap::default() }.statistic(pairs.len(), of).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(row: usize, loss: f64, transfer: f64) -> Measured {
        let entry = |moved, radius, loss| MovedLoss {
            task: "even".into(),
            moved,
            radius,
            draws: 1,
            batches: 1,
            loss,
            at_zero: 0.5,
        };
        let losses = vec![entry(Moved::Others, 0.1, loss), entry(Moved::Others, 0.05, 0.5)];
        Measured { row, losses, transfer: vec![("even".into(), transfer)] }
    }

    #[test]
    fn flat_methods_that_transfer_have_a_negative_correlation() {
        let runs = [run(0, 1.0, 3.0), run(0, 1.1, 2.0), run(1, 1.5, 1.0), run(1, 2.0, -1.0), run(2, 3.0, -2.0)];
        let found = Flatness::of_runs(&runs).unwrap().unwrap();
        assert_eq!(found.radii, [0.05, 0.1]);
        let rise = found.rises.iter().find(|rise| rise.row == 1 && rise.radius == 0.1).unwrap();
        assert_eq!(rise.values, [1.0, 1.5]);
        // The mean is 1.25 and its standard error 0.25, with 1 degree of freedom: t = 12.7062.
        let [low, high] = rise.interval.unwrap();
        assert!((low - (1.25 - 0.25 * 12.7062)).abs() < 1e-4 && (low + high - 2.5).abs() < 1e-9, "{low}, {high}");
        // At radius 0.05 all rises are 0, so that there is no order and no correlation.
        let [correlation] = &found.correlations[..] else { panic!("{:?}", found.correlations) };
        assert_eq!((correlation.radius, correlation.runs, correlation.value.estimate), (0.1, 5, -1.0));
        assert!(Flatness::of_runs(&[]).unwrap().is_none());
        let few = Flatness::of_runs(&runs[..3]).unwrap().unwrap();
        assert!(few.correlations.is_empty(), "three runs have no correlation worth a number");
    }

    #[test]
    fn transfer_is_better_where_the_metric_says_so() {
        let column = Column::new("task", "error", "Error");
        assert_eq!(change(&column, Some(110.0), Some(100.0)), Some(10.0));
        assert_eq!(change(&column.lower_is_better(), Some(110.0), Some(100.0)), Some(-10.0));
        assert_eq!(change(&Column::new("a", "b", "c"), Some(1.0), Some(0.0)), None);
    }
}
