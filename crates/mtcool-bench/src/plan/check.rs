//! Checks the values that belong to the experiment itself; data sets, networks and methods check their own settings.

use std::fmt::Display;

use mtcool_ops::is_device_name;

use super::claims::Direction;
use super::experiment::{Experiment, MetricLog};
use super::ranges::{check_overfit, check_sizes};
use super::roles::Roles;
use super::variants::Rows;
use crate::suite::{Column, ConfigError, PrecisionSetting};

/// Checks the values of an experiment that need neither a data set nor a network.
///
/// # Errors
/// [`ConfigError`] with the first value that is unknown or out of range.
pub(super) fn check(rows: &Rows<'_>) -> Result<(), ConfigError> {
    let experiment = rows.experiment;
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
    require(
        experiment.log.contains(&MetricLog::Parquet),
        "log",
        &format!("{:?}", experiment.log).to_lowercase(),
        "`parquet` in the list, since tables are made from it, such as [\"parquet\", \"tensorboard\"]",
    )?;
    check_sizes(training, &experiment.network)?;
    check_overfit(experiment.overfit)?;
    training.updates().map_err(|error| ConfigError::new(format!("training: {error}")))?;
    for name in experiment.method.keys().chain(experiment.reference.keys()) {
        rows.find(name)?;
    }
    for point in rows.points {
        rows.find(&point.base).map_err(|error| error.within("`grid`"))?;
    }
    check_names_of_variants(rows)?;
    check_paper(experiment)?;
    check_roles(rows)?;
    check_claims(rows)?;
    check_factors(rows)?;
    let asked = rows.asked();
    for (index, method) in asked.iter().enumerate() {
        require(!asked[..index].contains(method), "methods", method, "each method once")?;
    }
    Ok(())
}

fn require(valid: bool, key: &str, value: &dyn Display, expected: &str) -> Result<(), ConfigError> {
    if valid { Ok(()) } else { Err(ConfigError::new(format!("`{key}` is {value}: expected {expected}"))) }
}

/// Checks that the name of every variant can be a part of the name of a folder.
fn check_names_of_variants(rows: &Rows<'_>) -> Result<(), ConfigError> {
    for name in rows.variants() {
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let expected = "letters, digits, `_` and `-` in a variant's name";
        require(is_plain, "method", &format!("a table called `{name}`"), expected)?;
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

/// Checks that the experiment may have rows of the methods with a role in the report. The default names need not exist, since a
/// program of one's own may know other methods.
fn check_roles(rows: &Rows<'_>) -> Result<(), ConfigError> {
    let (roles, usual) = (&rows.experiment.roles, Roles::default());
    let named = [("roles.subject", &roles.subject, &usual.subject), ("roles.alone", &roles.alone, &usual.alone)];
    for (key, name, _) in named.into_iter().filter(|(_, name, usual)| name != usual) {
        rows.find(name).map_err(|error| error.within(format!("`{key}`")))?;
    }
    Ok(())
}

/// Checks that the table may have the rows of every claim, and that every margin makes sense.
fn check_claims(rows: &Rows<'_>) -> Result<(), ConfigError> {
    for (at, claim) in rows.experiment.claims.iter().enumerate() {
        let key = |name: &str| format!("claims[{at}].{name}");
        let lists = [("methods", &claim.methods), ("against", &claim.against), ("columns", &claim.columns)];
        if let Some((name, _)) = lists.into_iter().find(|(_, list)| list.is_empty()) {
            return Err(ConfigError::new(format!("`{}` is []: expected at least one entry", key(name))));
        }
        for (list, methods) in &lists[..2] {
            for name in *methods {
                rows.find(name).map_err(|error| error.within(format!("`{}`", key(list))))?;
            }
        }
        if let Some(both) = claim.methods.iter().find(|method| claim.against.contains(method)) {
            let message =
                format!("`{}` has `{both}`, which is also in `methods`: expected other methods", key("against"));
            return Err(ConfigError::new(message));
        }
        let (is_valid, expected) = match claim.direction {
            Direction::Better => (claim.margin >= 0.0 && claim.margin.is_finite(), "a number that is not negative"),
            Direction::Near => (claim.margin > 0.0 && claim.margin.is_finite(), "a number above 0 for `near`"),
        };
        if !is_valid {
            return Err(ConfigError::new(format!("`{}` is {}: expected {expected}", key("margin"), claim.margin)));
        }
    }
    Ok(())
}

/// Checks that the table may have every row of every factor.
fn check_factors(rows: &Rows<'_>) -> Result<(), ConfigError> {
    for (at, factor) in rows.experiment.factors.iter().enumerate() {
        if factor.rows.is_empty() {
            return Err(ConfigError::new(format!("`factors[{at}].rows` is []: expected at least one entry")));
        }
        for (list, names) in [("rows", &factor.rows), ("against", &factor.against)] {
            for name in names {
                rows.find(name).map_err(|error| error.within(format!("`factors[{at}].{list}`")))?;
            }
        }
    }
    Ok(())
}

/// Checks that the columns of every claim are among `columns`, those of the table.
///
/// # Errors
/// [`ConfigError`] with the first other column.
pub(super) fn check_columns_of_claims(experiment: &Experiment, columns: &[Column]) -> Result<(), ConfigError> {
    let names: Vec<String> = columns.iter().map(Column::key).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (at, claim) in experiment.claims.iter().enumerate() {
        if let Some(column) = claim.columns.iter().find(|column| !names.contains(&column.as_str())) {
            return Err(ConfigError::unknown("column", column, &names).within(format!("`claims[{at}].columns`")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::plan::{Overrides, Plan};
    use crate::suite::Registry;

    /// The message for Table 1 with these changes.
    fn message(assignment: &str) -> String {
        let overrides = Overrides { profile: None, assignments: vec![assignment.into()] };
        match Plan::load(&Registry::builtin(), "table1", &overrides) {
            Ok(_) => "accepted".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn roles_belong_to_methods_that_exist() {
        assert_eq!(message("roles.subject=joint"), "accepted");
        let unknown = message("roles.alone=independant");
        assert!(unknown.contains("`roles.alone`") && unknown.contains("independent"), "{unknown}");
        assert!(message("roles.alnoe=joint").contains("alnoe"));
    }

    #[test]
    fn claims_that_no_table_can_judge_are_refused() {
        let claim = |methods: &str, against: &str, column: &str, rest: &str| {
            message(&format!(
                "claims=[{{ text = \"a\", methods = [{methods}], against = [{against}], columns = [\"{column}\"]{rest} }}]"
            ))
        };
        let (own, other, column) = ("\"mtcool\"", "\"joint\"", "even.accuracy");
        assert_eq!(claim(own, other, column, ""), "accepted");
        assert_eq!(claim(own, other, column, ", direction = \"near\", margin = 0.5"), "accepted");
        for (said, words) in [
            (claim("", other, column, ""), "`claims[0].methods` is []"),
            (claim("\"mtcol\"", other, column, ""), "mtcool"),
            (claim(own, "\"joint\", \"mtcool\"", column, ""), "has `mtcool`, which is also in `methods`"),
            (claim(own, other, "even.acuracy", ""), "even.accuracy"),
            (claim(own, other, column, ", margin = -1.0"), "`claims[0].margin` is -1"),
            (claim(own, other, column, ", direction = \"near\""), "above 0 for `near`"),
            (claim(own, other, column, ", direction = \"worse\""), "near"),
        ] {
            assert!(said.contains(words), "no `{words}` in `{said}`");
        }
    }
}
