//! `MTCOOL_*` variables, which are read as the assignments of `--set`.

use std::ffi::OsString;

use crate::suite::ConfigError;

/// `MTCOOL_*` variables that are not configuration keys.
const OTHERS: [&str; 2] = ["golden_dir", "log"];

/// A variable that sets a key of the experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    /// Its name, such as `MTCOOL_TRAINING__EPOCHS`.
    pub(super) name: String,
    /// The assignment, such as `training.epochs=5`.
    pub(super) assignment: String,
}

/// The `MTCOOL_*` variables of this process that set keys, sorted by name. Variables of other programs do not matter, whatever they
/// hold.
///
/// # Errors
/// If the value of such a variable is not valid Unicode.
pub(super) fn variables() -> Result<Vec<Variable>, ConfigError> {
    variables_of(std::env::vars_os())
}

/// Names and values of the `MTCOOL_*` variables of this process that set keys, sorted by name, for a script that sets them again.
///
/// # Errors
/// If the value of such a variable is not valid Unicode.
pub fn configuring_variables() -> Result<Vec<(String, String)>, ConfigError> {
    let pair = |Variable { name, assignment }: Variable| {
        let value = assignment.split_once('=').map(|(_, value)| value.to_owned()).unwrap_or_default();
        (name, value)
    };
    Ok(variables()?.into_iter().map(pair).collect())
}

/// As [`variables`], for these names and values.
fn variables_of(all: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<Variable>, ConfigError> {
    let ours = all.filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value)));
    let keyed = ours.filter_map(|(name, value)| {
        let key = name.strip_prefix("MTCOOL_")?.to_lowercase().replace("__", ".");
        (!OTHERS.contains(&key.as_str())).then_some((name, key, value))
    });
    let assigned = keyed.map(|(name, key, value)| match value.into_string() {
        Ok(value) => Ok(Variable { assignment: format!("{key}={value}"), name }),
        Err(_) => {
            Err(ConfigError::new(format!("the variable `{name}` is not valid Unicode: set it again, or unset it")))
        }
    });
    let mut all = assigned.collect::<Result<Vec<_>, _>>()?;
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// The assignments of variables with these names and values, for the fuzz tests.
///
/// # Errors
/// As for the variables of the process.
pub fn assignments_of(all: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<String>, ConfigError> {
    Ok(variables_of(all)?.into_iter().map(|variable| variable.assignment).collect())
}
