//! Checks of settings and losses that several methods have.

use mtcool_core::{Error, Result};

/// `value`, if it is a positive number.
///
/// # Errors
/// [`Error::OutOfRange`] naming `key`.
pub(crate) fn positive(key: &'static str, value: f64) -> Result<f64> {
    within(key, value, value > 0.0, "a positive number")
}

/// `value`, if it is at least 0.
///
/// # Errors
/// [`Error::OutOfRange`] naming `key`.
pub(crate) fn at_least_zero(key: &'static str, value: f64) -> Result<f64> {
    within(key, value, value >= 0.0, "at least 0")
}

/// `value`, if it is finite and `is_valid`.
///
/// # Errors
/// [`Error::OutOfRange`] naming `key` and what was `expected`.
pub(crate) fn within(key: &'static str, value: f64, is_valid: bool, expected: &'static str) -> Result<f64> {
    if is_valid && value.is_finite() { Ok(value) } else { Err(Error::out_of_range(key, value, expected)) }
}

/// Checks that `values` has one number per task, or none.
///
/// # Errors
/// [`Error::Mismatch`] naming `key`.
pub(crate) fn one_per_task_or_none(key: &'static str, values: &[f64], tasks: usize) -> Result<()> {
    if [0, tasks].contains(&values.len()) {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: format!("`{key}`"),
        expected: format!("{tasks} numbers, one per task, or none"),
        got: format!("{values:?}"),
    })
}

/// Checks that no loss is negative, for `method`, which divides by losses or takes their logarithms.
///
/// # Errors
/// [`Error::Mismatch`] naming the first task whose loss is.
pub(crate) fn losses_at_least_zero(method: &str, losses: &[f64]) -> Result<()> {
    match losses.iter().position(|&loss| loss < 0.0) {
        None => Ok(()),
        Some(task) => Err(Error::Mismatch {
            what: format!("{method}, which divides by losses or takes their logarithms: the loss of task {task}"),
            expected: "at least 0".into(),
            got: losses[task].to_string(),
        }),
    }
}
