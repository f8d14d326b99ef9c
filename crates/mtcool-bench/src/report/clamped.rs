//! [`ClampedSheet`]: which share of each layer MT-COOL's clamp moved, as texts.

use mtcool_metrics::Summary;

use super::grid::grid;
use super::row::TableRow;
use super::table::Table;
use crate::record::{CLAMPED_SHARE, Row};

/// What the clamp moved, for each task and layer and each method with a clamp.
pub(super) struct ClampedSheet {
    /// Its title.
    pub(super) title: String,
    /// The texts of the header.
    pub(super) head: Vec<String>,
    /// A line per task and layer, after a line for all layers of the task. Layers in which the clamp never moved anything have none.
    pub(super) lines: Vec<Vec<String>>,
    /// What the numbers are, and how many layers are left out.
    pub(super) note: String,
}

impl ClampedSheet {
    /// The shares of `table`; `None` if no finished run has recorded any.
    pub(super) fn of(table: &Table) -> Option<Self> {
        let mut rows: Vec<&TableRow> =
            table.rows.iter().filter(|row| row.histories.iter().flatten().any(is_share)).collect();
        let has_moved = |row: &&TableRow| {
            row.histories.iter().flatten().any(|found| is_share(found) && (found.value != 0.0 || found.value.is_nan()))
        };
        let mut still = Vec::new();
        if rows.iter().any(has_moved) {
            still = rows.iter().filter(|row| !has_moved(row)).map(|row| row.method.label.to_string()).collect();
            rows.retain(has_moved);
        }
        let mut keys: Vec<(&str, &str)> = Vec::new();
        for row in rows.iter().flat_map(|row| &row.histories).flatten().filter(|row| is_share(row)) {
            let key = (row.task.as_str(), layer_of(&row.metric));
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        if keys.is_empty() {
            return None;
        }
        let all = keys.len();
        keys.retain(|(task, layer)| {
            layer.is_empty() || shares(&rows, task, layer).any(|share| share != 0.0 || share.is_nan())
        });
        let unmoved = match all - keys.len() {
            0 => String::new(),
            count => format!(
                " Not shown: {count} {} in which the clamp never moved anything, since no update left the region.",
                if count == 1 { "layer" } else { "layers" }
            ),
        };
        let still = match &still[..] {
            [] => String::new(),
            labels => format!(" It never moved anything in the runs of {}.", labels.join(", ")),
        };
        let line = |&(task, layer): &(&str, &str)| {
            let name = if layer.is_empty() { format!("{task}, all layers") } else { format!("{task}, {layer}") };
            let cells = rows.iter().map(|row| cell(row, task, layer));
            std::iter::once(name).chain(cells).collect::<Vec<String>>()
        };
        let labels = rows.iter().map(|row| row.method.label.to_string());
        Some(Self {
            title: "What the clamp moved, in per cent".into(),
            head: std::iter::once("Task, layer".to_owned()).chain(labels).collect(),
            lines: keys.iter().map(line).collect(),
            note: format!(
                "The share of the elements of a task's theta that the clamp moved in an update, as the mean over the updates of an \
                 epoch and then over the epochs after the warm-up; ±: standard deviation over the runs. `metrics.parquet` of each run \
                 has it for every epoch.{still}{unmoved}"
            ),
        })
    }

    /// What `mtcool flatness` prints below the flatness.
    pub(super) fn markdown(&self) -> String {
        format!("## {}\n\n{}\n{}\n", self.title, grid(&self.head, &self.lines), self.note)
    }
}

/// Whether a row is the share of a task's whole theta or of one of its layers.
pub(super) fn is_share(row: &Row) -> bool {
    let of_share = row.metric.strip_prefix(CLAMPED_SHARE);
    row.split == "train" && of_share.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The layer to which the metric of a share belongs; empty for the whole theta.
pub(super) fn layer_of(metric: &str) -> &str {
    metric.strip_prefix(CLAMPED_SHARE).unwrap_or_default().trim_start_matches('.')
}

/// The shares of a layer of a task in all epochs and runs of `rows`.
fn shares<'a>(rows: &'a [&TableRow], task: &'a str, layer: &'a str) -> impl Iterator<Item = f64> + 'a {
    let is_cell = move |found: &&Row| is_share(found) && found.task == task && layer_of(&found.metric) == layer;
    rows.iter().flat_map(|row| &row.histories).flatten().filter(is_cell).map(|found| found.value)
}

/// The mean over the runs of `row` of the mean share over the epochs, with its deviation.
fn cell(row: &TableRow, task: &str, layer: &str) -> String {
    let of_run = |history: &Vec<Row>| {
        let is_cell = |found: &&Row| is_share(found) && found.task == task && layer_of(&found.metric) == layer;
        let shares: Vec<f64> = history.iter().filter(is_cell).map(|found| 100.0 * found.value).collect();
        Summary::of(&shares).map(|summary| summary.mean)
    };
    let values: Vec<f64> = row.histories.iter().filter_map(of_run).collect();
    match Summary::of(&values) {
        Some(Summary { mean, std: Some(std), .. }) => format!("{mean:.2} ± {std:.2}"),
        Some(Summary { mean, .. }) => format!("{mean:.2}"),
        None => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_has_a_line_with_its_mean_share() {
        assert!(ClampedSheet::of(&Table::example(None)).is_none(), "no run has recorded a share");
        let mut table = Table::example(None);
        let row = |epoch, task: &str, metric: &str, value| Row {
            step: epoch,
            epoch,
            split: "train".into(),
            task: task.into(),
            metric: metric.into(),
            value,
        };
        let run = |by: f64| {
            let of_epoch = |epoch: u64| {
                let share = epoch as f64 / 10.0 + by;
                let others = ["loss", "clamped_shares", "clamped_share", "clamped_share.enc1.conv"];
                others.map(|metric| row(epoch, "even", metric, share)).into_iter()
            };
            of_epoch(1).chain(of_epoch(2)).chain([row(2, "odd", "clamped_share.fc", 0.5)]).collect::<Vec<Row>>()
        };
        // The first row of the example is Joint, which has no clamp.
        table.rows[1].histories = vec![run(0.0), run(0.1)];
        let sheet = ClampedSheet::of(&table).unwrap();
        assert_eq!(sheet.head, ["Task, layer", "MT-COOL (Ours)"]);
        let lines =
            [["even, all layers", "20.00 ± 7.07"], ["even, enc1.conv", "20.00 ± 7.07"], ["odd, fc", "50.00 ± 0.00"]];
        assert_eq!(sheet.lines, lines.map(|line| line.map(str::to_owned).to_vec()));
        assert!(!sheet.note.contains("Not shown"), "{}", sheet.note);
        // A layer in which nothing was moved has no line, but the whole theta has.
        table.rows[1].histories[0]
            .extend(["clamped_share", "clamped_share.fc2"].map(|metric| row(2, "third", metric, 0.0)));
        let sheet = ClampedSheet::of(&table).unwrap();
        assert_eq!((sheet.lines.len(), sheet.lines[3][0].as_str()), (4, "third, all layers"));
        assert!(sheet.note.contains("Not shown: 1 layer in"), "{}", sheet.note);
        // A row in which nothing was moved has no column beside one in which something was.
        table.rows[0].histories = vec![vec![row(2, "even", "clamped_share", 0.0)]];
        let sheet = ClampedSheet::of(&table).unwrap();
        assert_eq!(sheet.head.len(), 2);
        assert!(sheet.note.contains("never moved anything in the runs of Joint."), "{}", sheet.note);
        table.rows[0].histories.clear();
        table.rows[1].histories.truncate(1);
        assert_eq!(ClampedSheet::of(&table).unwrap().lines[0][1], "15.00");
    }
}
