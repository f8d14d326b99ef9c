//! Checks the values that belong to the experiment itself; data sets, networks and methods check their own settings.

use std::fmt::Display;

use mtcool_ops::is_device_name;

use super::experiment::Experiment;
use super::ranges::check_sizes;
use super::variants::Rows;
use crate::suite::{ConfigError, PrecisionSetting};

/// Checks the values of an experiment that need neither a data set nor a network.
///
/// # Errors
/// [`ConfigError`] with the first value that is unknown or out of range.
pub(super) fn check(rows: &Rows<'_>) -> Result<(), ConfigError> {
    let experiment = rows.experiment;
    let require = |valid: bool, key: &str, value: &dyn Display, expected: &str| {
        if valid { Ok(()) } else { Err(ConfigError::new(format!("`{key}` is {value}: expected {expected}"))) }
    };
    let training = &experiment.training;
    require(!experiment.methods.is_empty(), "methods", &"[]", "at least one method")?;
    experiment.seeds.check()?;
    let folder = experiment.data.folder.as_ref();
    require(
        folder.is_none_or(|folder| !folder.as_os_str().is_empty()),
        "data.folder",
        &"empty",
        "the path of a folder",
    )?;
    require(
        is_device_name(&experiment.device),
        "device",
        &experiment.device,
        "`cpu`, or `cuda:0`, `cuda:1`, ... for an NVIDIA card",
    )?;
    require(
        experiment.precision != PrecisionSetting::Tf32 || experiment.device != "cpu",
        "precision",
        &"`tf32`",
        "`f32` or `bf16` on the CPU; only NVIDIA cards compute in TF32",
    )?;
    check_sizes(training, &experiment.network)?;
    training.updates().map_err(|error| ConfigError::new(format!("training: {error}")))?;
    for name in experiment.method.keys().chain(experiment.reference.keys()) {
        rows.find(name)?;
    }
    for point in rows.points {
        rows.find(&point.base).map_err(|error| error.within("`grid`"))?;
    }
    for name in rows.variants() {
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        require(
            is_plain,
            "method",
            &format!("a table called `{name}`"),
            "letters, digits, `_` and `-` in a variant's name",
        )?;
    }
    check_paper(experiment)?;
    let asked = rows.asked();
    for (index, method) in asked.iter().enumerate() {
        require(!asked[..index].contains(method), "methods", method, "each method once")?;
    }
    Ok(())
}

/// Checks that every result of the paper comes with what a verdict needs.
fn check_paper(experiment: &Experiment) -> Result<(), ConfigError> {
    let columns = || experiment.reference.values().flat_map(|row| row.cells.keys());
    let Some(paper) = &experiment.paper else {
        let message = "`paper` is missing: with `reference`, expected `[default.paper]` with `runs` and `tolerance`";
        return if columns().next().is_none() { Ok(()) } else { Err(ConfigError::new(message)) };
    };
    let has_no_tolerance =
        |column: &&String| paper.tolerance.get(*column).is_none_or(|&tolerance| tolerance.is_nan() || tolerance <= 0.0);
    if let Some(column) = columns().find(has_no_tolerance) {
        let message = format!("`paper.tolerance` has no number above 0 for `{column}`, a column of `reference`");
        return Err(ConfigError::new(message));
    }
    let has_spread = experiment.reference.values().flat_map(|row| row.cells.values()).any(|cell| cell.std.is_some());
    if paper.runs < 2 && has_spread {
        let message =
            format!("`paper.runs` is {}: expected at least 2, since `reference` has standard deviations", paper.runs);
        return Err(ConfigError::new(message));
    }
    Ok(())
}
