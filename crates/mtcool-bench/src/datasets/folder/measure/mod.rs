//! The metrics of each kind of task, collected case by case. A case without a label of a task is not given to its measure.

mod classes;
mod labels;
mod numbers;
mod segmentation;

pub(super) use classes::ClassMeasure;
pub(super) use labels::LabelMeasure;
pub(super) use numbers::{NumberMeasure, Standardisation};
pub(super) use segmentation::{Pixels, SegmentationMeasure, Structure};

use crate::suite::{CaseScore, Evaluation, Name};

/// `name` as a part of a metric's name: in lower case, with `_` for everything that is neither a letter nor a digit.
pub(super) fn slug(name: &str) -> String {
    let simple = |c: char| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    name.trim().chars().map(simple).collect()
}

/// Where the scores of a task go.
pub(super) struct Scores<'a> {
    task: &'a str,
    evaluation: &'a mut Evaluation,
}

impl<'a> Scores<'a> {
    pub(super) fn new(task: &'a str, evaluation: &'a mut Evaluation) -> Self {
        Self { task, evaluation }
    }

    /// Adds a metric of the whole part. One that is not defined on it, such as an AUROC without positives, is left out.
    pub(super) fn measure(&mut self, metric: impl Into<Name>, value: f64) {
        if !value.is_nan() {
            self.evaluation.measure(self.task.to_owned(), metric, value);
        }
    }

    /// Adds a metric of one case.
    pub(super) fn case(&mut self, case: &str, metric: impl Into<Name>, value: f64) {
        let (task, case) = (self.task.to_owned().into(), case.to_owned());
        self.evaluation.scores.push(CaseScore { task, case, metric: metric.into(), value });
    }

    /// Adds the right and the predicted class of case number `index`.
    pub(super) fn prediction(&mut self, index: u32, target: u32, predicted: u32) {
        let task = self.task.to_owned().into();
        self.evaluation.predictions.push(crate::suite::Prediction { task, index, target, predicted });
    }
}

/// The mean; NaN without any value.
fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = values.into_iter().fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    sum / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_parts_of_metrics() {
        assert_eq!(slug(" Optic Disc (left)"), "optic_disc__left_");
        assert_eq!(slug("HbA1c"), "hba1c");
    }

    #[test]
    fn what_is_not_defined_is_left_out() {
        let mut evaluation = Evaluation::default();
        let mut scores = Scores::new("a", &mut evaluation);
        scores.measure("auroc", f64::NAN);
        scores.measure("accuracy", 1.0);
        assert_eq!(evaluation.measurements.len(), 1);
        assert!(mean([]).is_nan());
    }
}
