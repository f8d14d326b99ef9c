//! Values of a run on their way into `metrics.parquet`.

use crate::record::{Checkpoint, Position, Row};
use crate::suite::Evaluation;

impl Checkpoint {
    /// Adds a value of the present step and epoch.
    pub(super) fn record(&mut self, split: &str, task: &str, metric: &str, value: f64) {
        let Position { step, epoch, .. } = self.position;
        let (split, task, metric) = (split.to_owned(), task.to_owned(), metric.to_owned());
        self.rows.push(Row { step, epoch, split, task, metric, value });
    }

    /// Adds the values of an evaluation of the network after `step` steps, at the end of `epoch`.
    pub(super) fn record_evaluation(&mut self, split: &str, evaluation: &Evaluation, (step, epoch): (u64, u64)) {
        self.rows.extend(evaluation.measurements.iter().map(|measurement| Row {
            step,
            epoch,
            split: split.to_owned(),
            task: measurement.task.to_string(),
            metric: measurement.metric.to_string(),
            value: measurement.value,
        }));
    }
}
