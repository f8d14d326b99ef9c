//! The layers of a configuration: the file's `default` table, the profile's table, `MTCOOL_*` variables, flags.

use std::collections::BTreeMap;
use std::path::Path;

use figment::providers::{Env, Format, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Profile};

use super::experiment::Experiment;
use crate::suite::{ConfigError, Settings};

/// `MTCOOL_*` variables that are not configuration keys.
const OTHER_VARIABLES: [&str; 2] = ["golden_dir", "log"];

/// The flags that override values of the experiment's file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The name of a table of the file other than `default`, such as `quick`.
    pub profile: Option<String>,
    /// Assignments `KEY=VALUE`; a later one overrides an earlier one.
    pub assignments: Vec<String>,
}

/// The merged layers.
pub(super) struct Layers {
    /// The part of the configuration whose keys this module knows.
    pub(super) experiment: Experiment,
    /// The methods that the experiment's file itself names.
    pub(super) first_block: Vec<String>,
    figment: Figment,
}

impl Layers {
    /// The table `key`, whose content another part of the program checks.
    pub(super) fn table(&self, key: &str) -> Settings {
        Settings::new(self.figment.focus(key))
    }

    /// The tables `keys`, merged; a later table overrides an earlier one.
    pub(super) fn tables<'a>(&self, keys: impl Iterator<Item = &'a str>) -> Settings {
        Settings::new(keys.fold(Figment::new(), |all, key| all.merge(self.figment.focus(key))))
    }
}

/// Reads the experiment: its file's `default` table, the profile's table, `MTCOOL_*` variables, flags.
///
/// # Errors
/// [`ConfigError`] with the key, its place, and the expected value.
pub(super) fn read(source: &Path, text: &str, overrides: &Overrides) -> Result<Layers, ConfigError> {
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
    let extract = |figment: &Figment| -> Result<Experiment, ConfigError> {
        let read = Settings::new(figment.clone()).read::<Experiment>();
        let read = read.map_err(|error| ConfigError::from_settings(error, ""))?;
        Ok(Experiment { training: read.training.without_unused(), ..read })
    };
    let mut experiment = extract(&figment)?;
    let as_written = extract(&plain)?;
    // After a change, the profile's words on the comparison with the paper may not describe the runs.
    let setting = |e: &Experiment| {
        let data = plain_values(&BTreeMap::from([(String::new(), e.data.settings.clone())]));
        (e.precision, e.network.clone(), e.training.clone(), plain_values(&e.loss), plain_values(&e.method), data)
    };
    experiment.has_changed_settings = setting(&experiment) != setting(&as_written);
    Ok(Layers { experiment, first_block: as_written.methods, figment })
}

/// The tables without figment's record of the source of each value.
fn plain_values(tables: &BTreeMap<String, Dict>) -> BTreeMap<String, BTreeMap<String, String>> {
    let plain = |value: &Value| match value.clone().deserialize::<serde_json::Value>() {
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    };
    let table = |table: &Dict| table.iter().map(|(key, value)| (key.clone(), plain(value))).collect();
    tables.iter().map(|(name, values)| (name.clone(), table(values))).collect()
}

impl Overrides {
    /// The same overrides with the `MTCOOL_*` variables of this process as assignments in front of the others, so that they can
    /// be applied again in a process without these variables.
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

/// TOML text with the name of its source, for error messages.
struct NamedToml {
    name: String,
    text: String,
    /// Whether the top-level tables are profiles; otherwise the text overrides every profile.
    nested: bool,
}

impl figment::Provider for NamedToml {
    fn metadata(&self) -> figment::Metadata {
        figment::Metadata::named(self.name.clone())
    }

    fn data(&self) -> figment::error::Result<figment::value::Map<Profile, figment::value::Dict>> {
        if self.nested {
            Toml::string(&self.text).nested().data()
        } else {
            Toml::string(&self.text).profile(Profile::Global).data()
        }
    }
}

/// The assignment `a.b=value` as TOML; a value that is not valid TOML is taken as a string.
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
