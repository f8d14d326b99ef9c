//! From files, variables and flags to checked runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Env, Format, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Profile};
use mtcool_ops::is_device_name;

use super::error::ConfigError;
use super::schema::{DataIdentity, Experiment, Precision, RunConfig};
use crate::datasets;
use crate::methods::{self, MethodSettings};

/// The experiments that come with the program, for use away from its source.
const BUILT_IN: [(&str, &str); 3] = [
    ("table1", include_str!("../../../../experiments/table1.toml")),
    ("table2", include_str!("../../../../experiments/table2.toml")),
    ("table3", include_str!("../../../../experiments/table3.toml")),
];
/// `MTCOOL_*` variables that are no configuration keys.
const OTHER_VARIABLES: [&str; 2] = ["golden_dir", "log"];

/// What flags say over the experiment's file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// A table of the file other than `default`, such as `quick`.
    pub profile: Option<String>,
    /// `KEY=VALUE` assignments, in order.
    pub assignments: Vec<String>,
}

/// The text of experiment `name` and what to call its source: a path ending in `.toml`, a file in `experiments/`, or one that
/// comes with the program.
///
/// # Errors
/// If there is no such experiment; names the ones there are.
pub fn find_experiment(name: &str) -> Result<(PathBuf, String), ConfigError> {
    let given = Path::new(name);
    let local = Path::new("experiments").join(format!("{name}.toml"));
    let path = if given.extension().is_some_and(|extension| extension == "toml") { given } else { &local };
    match (std::fs::read_to_string(path), BUILT_IN.iter().find(|(known, _)| *known == name)) {
        (Ok(text), _) => Ok((path.to_owned(), text)),
        (Err(_), Some((known, text))) => Ok((PathBuf::from(format!("built-in {known}.toml")), (*text).to_owned())),
        (Err(error), None) if path == given => Err(ConfigError::new(format!("experiment `{name}`: {error}"))),
        (Err(_), None) => Err(ConfigError::unknown("experiment", name, &BUILT_IN.map(|(known, _)| known))),
    }
}

/// Reads the experiment: its file's `default` table, the profile's table, `MTCOOL_*` variables, flags.
///
/// # Errors
/// [`ConfigError`] naming the key, where it stands, and what was expected.
pub fn load(source: &Path, text: &str, overrides: &Overrides) -> Result<(Experiment, Figment), ConfigError> {
    let tables =
        text.parse::<toml::Table>().map_err(|error| ConfigError::new(format!("{}: {error}", source.display())))?;
    let profile = match &overrides.profile {
        Some(profile) if !tables.contains_key(profile) => {
            let valid: Vec<&str> = tables.keys().map(String::as_str).collect();
            return Err(ConfigError::unknown("profile", profile, &valid).within(source.display()));
        }
        Some(profile) => Profile::new(profile),
        None => Profile::Default,
    };
    let variables = Env::prefixed("MTCOOL_").ignore(&OTHER_VARIABLES).split("__").global();
    let file = NamedToml { name: format!("`{}`", source.display()), text: text.to_owned(), nested: true };
    let plain = Figment::from(file).select(profile.clone());
    let mut figment = plain.clone().merge(variables).select(profile);
    for assignment in &overrides.assignments {
        let name = format!("the command line (`{assignment}`)");
        figment = figment.merge(NamedToml { name, text: assignment_as_toml(assignment)?, nested: false });
    }
    let extract = |figment: &Figment| figment.extract().map_err(|error| ConfigError::from_figment(error, ""));
    let mut experiment: Experiment = extract(&figment)?;
    let as_written: Experiment = extract(&plain)?;
    // Whoever changes what is trained no longer has the paper's setting, whatever the profile says.
    let setting = |e: &Experiment| {
        let data = plain_values(&BTreeMap::from([(String::new(), e.data.settings.clone())]));
        (e.precision, e.network.clone(), e.training.clone(), plain_values(&e.method), data)
    };
    experiment.comparable &= setting(&experiment) == setting(&as_written);
    experiment.first_block = as_written.methods;
    Ok((experiment, figment))
}

/// The methods' tables without figment's notes on where each value came from.
fn plain_values(tables: &BTreeMap<String, Dict>) -> BTreeMap<String, BTreeMap<String, String>> {
    let plain = |value: &Value| match value.clone().deserialize::<serde_json::Value>() {
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    };
    let table = |table: &Dict| table.iter().map(|(key, value)| (key.clone(), plain(value))).collect();
    tables.iter().map(|(name, values)| (name.clone(), table(values))).collect()
}

impl Overrides {
    /// The same with the `MTCOOL_*` variables of this process as assignments before the others, to be used again without them.
    pub fn with_variables(mut self) -> Self {
        let variables = std::env::vars().filter_map(|(name, value)| {
            let key = name.strip_prefix("MTCOOL_")?.to_lowercase().replace("__", ".");
            (!OTHER_VARIABLES.contains(&key.as_str())).then(|| format!("{key}={value}"))
        });
        let mut assignments: Vec<String> = variables.collect();
        assignments.sort();
        assignments.append(&mut self.assignments);
        Self { assignments, ..self }
    }
}

/// TOML text that knows where it came from, for messages.
struct NamedToml {
    name: String,
    text: String,
    /// Whether the top-level tables are profiles; else all of it goes over every profile.
    nested: bool,
}

impl figment::Provider for NamedToml {
    fn metadata(&self) -> figment::Metadata {
        figment::Metadata::named(self.name.clone())
    }

    fn data(&self) -> figment::error::Result<figment::value::Map<Profile, figment::value::Dict>> {
        match self.nested {
            true => Toml::string(&self.text).nested().data(),
            false => Toml::string(&self.text).profile(Profile::Global).data(),
        }
    }
}

/// `a.b=value` as TOML; what is no TOML value is taken as a string.
fn assignment_as_toml(assignment: &str) -> Result<String, ConfigError> {
    let Some((key, value)) = assignment.split_once('=') else {
        return Err(ConfigError::new(format!("`{assignment}`: expected KEY=VALUE, such as training.epochs=5")));
    };
    let plain = format!("{key} = {value}");
    Ok(match plain.parse::<toml::Table>() {
        Ok(_) => plain,
        Err(_) => format!("{key} = {}", toml::Value::from(value)),
    })
}

/// A run and the settings its method is built from.
pub type ResolvedRun = (RunConfig, Box<dyn MethodSettings>);

/// All runs of the experiment, methods first, everything checked.
///
/// # Errors
/// [`ConfigError`] with the first value that is unknown or out of its range.
pub fn resolve(
    name: &str,
    experiment: &Experiment,
    figment: &Figment,
    identity: &DataIdentity,
) -> Result<Vec<ResolvedRun>, ConfigError> {
    check(experiment)?;
    let mut runs: Vec<ResolvedRun> = Vec::new();
    for seed in 0..experiment.seeds {
        for method in &experiment.methods {
            runs.push(resolve_run(name, experiment, figment, identity, method, seed)?);
        }
    }
    Ok(runs)
}

/// One run.
///
/// # Errors
/// [`ConfigError`] if the method is unknown or a setting of its is out of its range.
pub fn resolve_run(
    name: &str,
    experiment: &Experiment,
    figment: &Figment,
    identity: &DataIdentity,
    method: &str,
    seed: u64,
) -> Result<ResolvedRun, ConfigError> {
    let settings = settings(experiment, figment, method)?;
    let run = RunConfig {
        experiment: name.to_owned(),
        method: method.to_owned(),
        seed,
        device: experiment.device.clone(),
        dataset: experiment.dataset.clone(),
        report: experiment.report,
        precision: experiment.precision,
        probe_every: experiment.probe_every,
        origin: identity.origin.clone(),
        files: identity.files.clone(),
        data: data_settings(experiment, figment)?,
        network: experiment.network.clone(),
        training: experiment.training.clone(),
        settings: settings.describe(),
    };
    Ok((run, settings))
}

/// The settings of the experiment's data set, checked, defaults filled in; `null` if it has none.
///
/// # Errors
/// [`ConfigError`] with the setting that is unknown or of the wrong type.
pub fn data_settings(experiment: &Experiment, figment: &Figment) -> Result<serde_json::Value, ConfigError> {
    let entry = datasets::find(&experiment.dataset)?;
    let table = match experiment.data.settings.is_empty() {
        true => Figment::new(),
        false => figment.focus("data.settings"),
    };
    let settings = (entry.settings)(&table).map_err(|error| ConfigError::from_figment(*error, "data.settings"))?;
    Ok(if settings.as_object().is_some_and(|fields| fields.is_empty()) { serde_json::Value::Null } else { settings })
}

/// A method's settings, checked by building it once.
fn settings(experiment: &Experiment, figment: &Figment, method: &str) -> Result<Box<dyn MethodSettings>, ConfigError> {
    let entry = methods::find(method)?;
    let mut figment_of_method = Figment::new();
    for table in entry.settings_from {
        if experiment.method.contains_key(*table) {
            figment_of_method = figment_of_method.merge(figment.focus(&format!("method.{table}")));
        }
    }
    let settings = (entry.settings)(&figment_of_method).map_err(|error| {
        // The last table that has the key is the one whose value counts.
        let key = match &error.kind {
            Kind::UnknownField(key, _) => Some(key),
            _ => error.path.first(),
        };
        let has_key = |table: &&&str| key.and_then(|key| experiment.method.get(**table)?.get(key)).is_some();
        let table = entry.settings_from.iter().rfind(has_key).copied().unwrap_or(method);
        ConfigError::from_figment(*error, &format!("method.{table}"))
    })?;
    let prefix = format!("method.{method}");
    settings.build(&experiment.training, 0).map_err(|error| ConfigError::new(format!("{prefix}: {error}")))?;
    Ok(settings)
}

fn check(experiment: &Experiment) -> Result<(), ConfigError> {
    let require = |valid: bool, key: &str, value: &dyn std::fmt::Display, expected: &str| match valid {
        true => Ok(()),
        false => Err(ConfigError::new(format!("`{key}` is {value}: expected {expected}"))),
    };
    let training = &experiment.training;
    require(!experiment.methods.is_empty(), "methods", &"[]", "at least one method")?;
    require(experiment.seeds >= 1, "seeds", &experiment.seeds, "at least 1")?;
    require(
        is_device_name(&experiment.device),
        "device",
        &experiment.device,
        "`cpu`, or `cuda:0` and the like for an NVIDIA card",
    )?;
    require(
        experiment.precision != Precision::Tf32 || experiment.device != "cpu",
        "precision",
        &"`tf32`",
        "`f32` or `bf16` on the CPU; TF32 is arithmetic of NVIDIA cards",
    )?;
    require(training.epochs >= 1, "training.epochs", &training.epochs, "at least 1")?;
    require(training.batch_size >= 1, "training.batch_size", &training.batch_size, "at least 1")?;
    training.updates().check().map_err(|error| ConfigError::new(format!("training: {error}")))?;
    for table in experiment.method.keys().chain(experiment.reference.keys()) {
        methods::find(table)?;
    }
    for (index, method) in experiment.methods.iter().enumerate() {
        require(!experiment.methods[..index].contains(method), "methods", method, "each method once")?;
    }
    Ok(())
}
