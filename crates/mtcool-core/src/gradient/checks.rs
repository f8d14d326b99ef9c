//! Checks of numbers that come one per task.

use crate::error::{Error, Result};

/// Fails unless there is one weight for each of `tasks` tasks.
pub(super) fn require_one_per_task(weights: &[f64], tasks: usize) -> Result<()> {
    if weights.len() == tasks {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: "weights of the tasks".into(),
        expected: format!("{tasks}, one per task"),
        got: weights.len().to_string(),
    })
}

/// Whether no value is NaN or infinite.
pub(super) fn are_finite(values: &[f64]) -> bool {
    values.iter().all(|value| value.is_finite())
}
