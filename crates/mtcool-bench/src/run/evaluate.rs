//! Evaluates the networks of a run: on the validation split after each epoch, and on the split that its table reports.
//!
//! This is the only place where the test split is read, which `cargo xtask tidy` checks: once, at the end of a run of a table
//! ([`Run::evaluate_end`]), or after every epoch of a run for the diagnosis `test-selection` ([`Run::evaluate_optimistically`]), which
//! stands in no table.

use anyhow::Result;
use mtcool_core::{Parameters, Problem};
use mtcool_metrics::MetricError;

use super::ended::Diverged;
use super::selection::Chosen;
use super::train::Run;
use crate::plan::Diagnosis;
use crate::suite::{Evaluation, MapSink, NonFinite, Split};

impl Run<'_> {
    /// The validation split, with the network after `step` steps.
    pub(super) fn evaluate_validation(
        &self,
        problem: &Problem,
        parameters: &Parameters,
        step: u64,
    ) -> Result<Evaluation> {
        self.evaluate(problem, parameters, step, Split::Validation, None)
    }

    /// The split that the table reports, with the network with which the run ends. Nothing for a run of a diagnosis, which has no place
    /// in a table.
    pub(super) fn evaluate_end(
        &self,
        problem: &Problem,
        chosen: &Chosen,
        maps: &mut MapSink<'_>,
    ) -> Result<Evaluation> {
        match self.config.diagnosis {
            Some(_) => Ok(Evaluation::default()),
            None => self.evaluate(problem, &chosen.parameters, chosen.step, self.config.report, Some(maps)),
        }
    }

    /// The test split, with the network after `step` steps, for the diagnosis `test-selection`; `None` for every other run.
    pub(super) fn evaluate_optimistically(
        &self,
        problem: &Problem,
        parameters: &Parameters,
        step: u64,
    ) -> Result<Option<Evaluation>> {
        match self.config.diagnosis {
            Some(Diagnosis::TestSelection) => self.evaluate(problem, parameters, step, Split::Test, None).map(Some),
            None => Ok(None),
        }
    }

    /// The suite's evaluation of `parameters`, those after `step` steps. A value that is not finite becomes the error [`Diverged`].
    fn evaluate(
        &self,
        problem: &Problem,
        parameters: &Parameters,
        step: u64,
        split: Split,
        maps: Option<&mut MapSink<'_>>,
    ) -> Result<Evaluation> {
        let diverged =
            |source: anyhow::Error| Diverged::Evaluation { run: self.name(), step, split: split.name(), source };
        let evaluation = match self.suite.evaluate(problem, parameters, split, maps) {
            Err(error) if is_divergence(&error) => Err(diverged(error))?,
            evaluation => evaluation?,
        };
        // Other metrics may be undefined without divergence, for example because a class is absent.
        for loss in evaluation.measurements.iter().filter(|measurement| measurement.metric == "loss") {
            NonFinite::check(loss.task.clone(), "loss", loss.value).map_err(|error| diverged(error.into()))?;
        }
        Ok(evaluation)
    }

    /// The columns of the table among what was measured, for a log line.
    pub(super) fn in_words(&self, evaluation: &Evaluation) -> String {
        let columns = &self.plan.spec.columns;
        let shown = evaluation.measurements.iter().filter_map(|found| {
            let column = columns.iter().find(|column| column.task == found.task && column.metric == found.metric)?;
            Some(format!("{} {} {}", found.task, found.metric, column.digits([found.value]).figure(found.value)))
        });
        shown.collect::<Vec<_>>().join(", ")
    }
}

/// Whether an evaluation failed because of a value that is not finite, so that it would fail again.
fn is_divergence(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<NonFinite>() || matches!(cause.downcast_ref::<MetricError>(), Some(MetricError::NotFinite { .. }))
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use mtcool_metrics::BinaryScores;

    use super::*;

    #[test]
    fn only_what_is_not_finite_is_a_divergence() {
        let of_metric = |score: f64| BinaryScores::new(&[score], &[true]).context("a test").map(drop);
        let of_loss = || NonFinite::check("a", "loss", f64::INFINITY).context("a test");
        assert!(is_divergence(&of_metric(f64::NAN).unwrap_err()) && is_divergence(&of_loss().unwrap_err()));
        let lengths = BinaryScores::new(&[0.5], &[]).context("a test").map(drop);
        assert!(!is_divergence(&lengths.unwrap_err()) && !is_divergence(&anyhow::anyhow!("the disk is full")));
    }
}
