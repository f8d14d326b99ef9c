//! The charts of the page, from the recorded metrics of the runs.

use anyhow::Result;
use maud::Markup;
use mtcool_metrics::Summary;

use crate::record::{CLAMPED_SHARE, Moved, Row};
use crate::report::chart::{Curve, Point, Strip, colour, curves, scatter, strips};
use crate::report::clamped::{is_share, layer_of};
use crate::report::flatness::{Flatness, Rise, title};
use crate::report::interval::{cut, mean_interval};
use crate::report::overall::{Overall, overall};
use crate::report::row::TableRow;
use crate::report::scores::run_values;
use crate::report::table::Table;
use crate::suite::{Column, Name};

/// Charts that belong together.
#[derive(Default)]
pub(super) struct Group {
    /// The class and the label of each method, if the charts have no labels of their own.
    pub(super) legend: Vec<(String, String)>,
    /// The charts.
    pub(super) drawn: Vec<Markup>,
}

/// All charts of a table.
pub(super) struct Charts {
    /// Per column: the runs of each method.
    pub(super) runs: Group,
    /// Per factor and column: the runs of the rows that differ in the factor.
    pub(super) factors: Group,
    /// Training time against quality.
    pub(super) cost: Group,
    /// Per column: the validation metric over the epochs.
    pub(super) curves: Group,
    /// Losses, weights and gradients over the epochs.
    pub(super) training: Group,
    /// The rise of the losses when weights are moved.
    pub(super) flatness: Group,
    /// What the clamp moved in each layer, over the epochs, for one method.
    pub(super) clamped: Group,
}

/// What is recorded of training, each with its title: metrics of tasks or of pairs of tasks.
const TRAINING: [(&str, &str); 6] = [
    ("loss", "training loss"),
    ("weight", "weight"),
    ("gradient_norm", "gradient norm"),
    ("gradient_cosine", "cosine of the gradients"),
    ("gradient_conflict_rate", "share of steps in conflict"),
    (CLAMPED_SHARE, "share of theta that the clamp moved"),
];

impl Charts {
    /// The charts of `table`.
    ///
    /// # Errors
    /// If an interval cannot be computed.
    pub(super) fn of(table: &Table, flatness: Option<&Flatness>) -> Result<Self> {
        let all: Vec<(usize, &TableRow)> = table.rows.iter().enumerate().collect();
        let of_column = |(at, column): (usize, &Column)| runs(table, &all, at, &column.label);
        let without_legend =
            |charts: Vec<Option<Markup>>| Group { drawn: charts.into_iter().flatten().collect(), ..Group::default() };
        let runs = without_legend(table.columns.iter().enumerate().map(of_column).collect::<Result<_>>()?);
        let factors = without_legend(factors(table)?);
        let of_column = |column: &Column| {
            let labels = ["epoch", &*column.label];
            curves(&column.label, labels, &series(table, "validation", &column.task, &column.metric))
        };
        let curves_of_columns = table.columns.iter().filter_map(of_column).collect();
        Ok(Self {
            runs,
            factors,
            cost: Group { drawn: cost(table).into_iter().collect(), ..Group::default() },
            curves: with_legend(table, curves_of_columns),
            training: with_legend(table, training(table)),
            flatness: with_legend(table, flatness.map(|found| rises(table, found)).unwrap_or_default()),
            clamped: clamped(table),
        })
    }
}

/// Charts with a legend of the methods that have finished runs.
fn with_legend(table: &Table, drawn: Vec<Markup>) -> Group {
    let rows = table.rows.iter().enumerate().filter(|(_, row)| row.runs > 0);
    Group { legend: rows.map(|(at, row)| (colour(at), row.method.label.to_string())).collect(), drawn }
}

/// For each factor and each column, the runs of the rows that differ in the factor, then of those to compare them with.
fn factors(table: &Table) -> Result<Vec<Option<Markup>>> {
    let mut charts = Vec::new();
    for factor in &table.factors {
        let row = |name: &String| table.rows.iter().enumerate().find(|(_, row)| *row.method.name == **name);
        let rows: Vec<(usize, &TableRow)> = factor.rows.iter().chain(&factor.against).filter_map(row).collect();
        // A factor of which one value alone has runs shows nothing.
        if factor.rows.iter().filter_map(row).filter(|(_, row)| row.runs > 0).count() < 2 {
            continue;
        }
        for (at, column) in table.columns.iter().enumerate() {
            charts.push(runs(table, &rows, at, &format!("{}: {}", factor.title, column.label))?);
        }
    }
    Ok(charts)
}

/// The runs of each of `rows` in column `at`.
fn runs(table: &Table, rows: &[(usize, &TableRow)], at: usize, title: &str) -> Result<Option<Markup>> {
    let column = &table.columns[at];
    let mut lines = Vec::new();
    for &(index, row) in rows {
        let values = run_values(&row.histories, &row.stored, column, table.split);
        let values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        let Some(summary) = Summary::of(&values) else { continue };
        let interval = mean_interval(&summary)?;
        let paper = row.against_paper[at].filter(|_| table.paper_obstacle.is_none()).map(|cell| cell.paper.mean);
        lines.push(Strip { label: row.method.label.to_string(), index, values, mean: summary.mean, interval, paper });
    }
    Ok(strips(title, &lines, table.digits(column)))
}

/// Training time per epoch against delta-m, or against the mean rank where the method that trains each task alone has no runs.
fn cost(table: &Table) -> Option<Markup> {
    let all = overall(&table.rows, &table.columns, &table.roles.alone);
    let has_delta = all.iter().filter(|row| row.delta_m.is_some()).count() > 1;
    let point = |(index, (row, overall)): (usize, (&TableRow, &Overall))| {
        // The method that trains each task alone differs from itself by 0.
        let is_alone = row.method.name == table.roles.alone.as_str() && row.runs > 0;
        let delta = overall.delta_m.or(is_alone.then_some(0.0));
        let quality = if has_delta { delta } else { overall.mean_rank };
        Some(Point { label: row.method.label.to_string(), index, at: [row.seconds_per_epoch?, quality?] })
    };
    let points: Vec<Point> = table.rows.iter().zip(&all).enumerate().filter_map(point).collect();
    let quality = if has_delta { "Δm in per cent (higher is better)" } else { "mean rank (1 is best)" };
    scatter("Training time against quality", ["seconds per epoch", quality], &points, !has_delta)
}

/// A chart for each recorded metric of training and each task or pair of tasks that has it.
fn training(table: &Table) -> Vec<Markup> {
    let mut charts = Vec::new();
    for (metric, title) in TRAINING {
        let rows = table.rows.iter().flat_map(|row| &row.histories).flatten();
        let mut tasks: Vec<&str> = Vec::new();
        for row in rows.filter(|row| row.split == "train" && row.metric == metric) {
            if !tasks.contains(&row.task.as_str()) {
                tasks.push(&row.task);
            }
        }
        let of_task = |task: &str| {
            let title = format!("{task}: {title}");
            curves(&title, ["epoch", ""], &series(table, "train", task, metric))
        };
        charts.extend(tasks.into_iter().filter_map(of_task));
    }
    charts
}

/// A chart for each task and kind of movement: the rise of the loss by the half-width of the noise.
fn rises(table: &Table, flatness: &Flatness) -> Vec<Markup> {
    let chart = |(task, moved): (Name, Moved)| {
        let of_chart = flatness.rises.iter().filter(|rise| rise.task == task && rise.moved == moved);
        let [low, _, high] = range(&of_chart.flat_map(|rise| rise.values.iter().copied()).collect::<Vec<f64>>());
        let curve = |(index, row): (usize, &TableRow)| {
            let fits = |rise: &&Rise| rise.row == index && rise.task == task && rise.moved == moved;
            let point = |rise: &Rise| {
                let mean = range(&rise.values)[1];
                let [from, to] = rise.interval.unwrap_or([mean; 2]).map(|end| cut(end, [low, high]));
                [rise.radius, mean, from, to]
            };
            let mut points: Vec<[f64; 4]> = flatness.rises.iter().filter(fits).map(point).collect();
            points.sort_by(|a, b| a[0].total_cmp(&b[0]));
            Curve { points, ..curve_of(table, index, row) }
        };
        let lines: Vec<Curve> = table.rows.iter().enumerate().map(curve).collect();
        curves(&title(&task, moved), ["r", "rise of the loss"], &lines)
    };
    flatness.kinds().into_iter().filter_map(chart).collect()
}

/// A chart for each task with a curve per layer: the share that the clamp moved, by epoch. The method is the subject, or the first
/// one that has recorded any shares.
fn clamped(table: &Table) -> Group {
    let has_shares = |row: &&TableRow| row.histories.iter().flatten().any(is_share);
    let of_subject = table.rows.iter().find(|row| row.method.name == table.roles.subject.as_str() && has_shares(row));
    let Some(row) = of_subject.or_else(|| table.rows.iter().find(has_shares)) else { return Group::default() };
    // The table below says so.
    if row.histories.iter().flatten().filter(|found| is_share(found)).all(|found| found.value == 0.0) {
        return Group::default();
    }
    let (mut tasks, mut layers): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for found in row.histories.iter().flatten().filter(|found| is_share(found)) {
        let layer = layer_of(&found.metric);
        if !tasks.contains(&found.task.as_str()) {
            tasks.push(&found.task);
        }
        if !layer.is_empty() && !layers.contains(&layer) {
            layers.push(layer);
        }
    }
    let chart = |task: &&str| {
        let curve = |(index, layer): (usize, &&str)| {
            let points = points(&row.histories, "train", task, &format!("{CLAMPED_SHARE}.{layer}"));
            Curve { label: (*layer).to_owned(), index, is_subject: false, points }
        };
        let lines: Vec<Curve> = layers.iter().enumerate().map(curve).collect();
        curves(&format!("{task}: layers of {}", row.method.label), ["epoch", "share"], &lines)
    };
    let drawn = tasks.iter().filter_map(chart).collect();
    Group { legend: layers.iter().enumerate().map(|(at, layer)| (colour(at), (*layer).to_owned())).collect(), drawn }
}

/// The curve of a row, without points.
fn curve_of(table: &Table, index: usize, row: &TableRow) -> Curve {
    let is_subject = row.method.name == table.roles.subject.as_str();
    Curve { label: row.method.label.to_string(), index, is_subject, points: Vec::new() }
}

/// The smallest, the mean and the largest of `values`.
fn range(values: &[f64]) -> [f64; 3] {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [low, mean, high]
}

/// One curve per method: mean, smallest and largest value of a metric over the runs, by epoch.
fn series(table: &Table, split: &str, task: &str, metric: &str) -> Vec<Curve> {
    let curve = |(index, row): (usize, &TableRow)| {
        let points = points(&row.histories, split, task, metric);
        Curve { points, ..curve_of(table, index, row) }
    };
    table.rows.iter().enumerate().map(curve).collect()
}

/// For each epoch that all runs have reached: the epoch, then mean, smallest and largest value over the runs. Values that are not
/// finite are left out: for example, the sensitivity on a validation split without a positive case is NaN.
fn points(histories: &[Vec<Row>], split: &str, task: &str, metric: &str) -> Vec<[f64; 4]> {
    let of_run = |rows: &Vec<Row>| -> Vec<(u64, f64)> {
        let fits = |row: &&Row| row.split == split && row.task == task && row.metric == metric;
        rows.iter().filter(fits).map(|row| (row.epoch, row.value)).collect()
    };
    let runs: Vec<Vec<(u64, f64)>> = histories.iter().map(of_run).collect();
    let Some(first) = runs.first() else { return Vec::new() };
    let point = |&(epoch, _): &(u64, f64)| {
        let value = |run: &Vec<(u64, f64)>| run.iter().find(|(other, _)| *other == epoch).map(|(_, value)| *value);
        let values: Vec<f64> = runs.iter().map(value).collect::<Option<_>>()?;
        let [low, mean, high] = range(&values);
        mean.is_finite().then_some([epoch as f64, mean, low, high])
    };
    first.iter().filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_means_with_their_range_and_what_is_no_number_is_none() {
        let row = |epoch, value| Row {
            step: epoch,
            epoch,
            split: "validation".into(),
            task: "glaucoma".into(),
            metric: "auroc".into(),
            value,
        };
        let points = |histories: &[Vec<Row>]| points(histories, "validation", "glaucoma", "auroc");
        let histories = [vec![row(1, f64::NAN), row(2, 50.0), row(3, 60.0)], vec![row(1, 40.0), row(2, 70.0)]];
        assert_eq!(points(&histories), [[2.0, 60.0, 50.0, 70.0]], "epoch 3 has one run only");
        assert!(points(&[vec![row(1, f64::NAN)]]).is_empty() && points(&[]).is_empty());
    }
}
