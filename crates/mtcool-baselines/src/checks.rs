//! Checks of settings, losses and wrapped methods that several methods have.

use mtcool_core::{Combine, Error, Result};

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

/// Checks that every one of `values`, a list with one number per task or none, is positive.
///
/// # Errors
/// [`Error::OutOfRange`] naming `key`.
pub(crate) fn all_positive(key: &'static str, values: &[f64]) -> Result<()> {
    all(key, values, |value| value > 0.0, "positive numbers, one per task, or none")
}

/// Checks that every one of `values`, a list with one number per task or none, is at least 0.
///
/// # Errors
/// [`Error::OutOfRange`] naming `key`.
pub(crate) fn none_negative(key: &'static str, values: &[f64]) -> Result<()> {
    all(key, values, |value| value >= 0.0, "numbers of at least 0, one per task, or none")
}

/// Checks that every one of `values`, a list with one number per task or none, is finite.
///
/// # Errors
/// [`Error::OutOfRange`] naming `key`.
pub(crate) fn all_finite(key: &'static str, values: &[f64]) -> Result<()> {
    all(key, values, |_| true, "finite numbers, one per task, or none")
}

fn all(key: &'static str, values: &[f64], is_valid: impl Fn(f64) -> bool, expected: &'static str) -> Result<()> {
    values.iter().try_for_each(|&value| within(key, value, is_valid(value), expected).map(drop))
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

/// Checks that every loss is positive and finite; `name` is what the loss of a task is called.
///
/// # Errors
/// [`Error::Mismatch`] naming the first task whose loss is not.
pub(crate) fn losses_positive(losses: &[f64], name: impl Fn(usize) -> String) -> Result<()> {
    match losses.iter().position(|loss| !(*loss > 0.0 && loss.is_finite())) {
        None => Ok(()),
        Some(task) => {
            let got = losses[task].to_string();
            Err(Error::Mismatch { what: name(task), expected: "a positive number".into(), got })
        }
    }
}

/// Checks that `inside`, which is called `what`, combines losses or gradients that it is given.
///
/// # Errors
/// [`Error::Mismatch`] if it has passes of its own.
pub(crate) fn without_own_passes(what: &str, inside: &Combine) -> Result<()> {
    match inside {
        Combine::Losses(_) | Combine::Gradients(_) => Ok(()),
        Combine::Direction(_) => Err(Error::Mismatch {
            what: what.into(),
            expected: "a loss weighting or an aggregator".into(),
            got: "a method with passes of its own".into(),
        }),
    }
}
