//! The layers of a configuration: the file's `default` table, the profile's table, `MTCOOL_*` variables, flags.

use std::collections::{BTreeMap, BTreeSet};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Profile};

use super::experiment::Experiment;
use super::grid::{GridPoint, points};
use super::keys::known_keys;
use super::ranges::{all_finite, merged};
use super::source::ExperimentSource;
use super::spaces::{SearchKeys, Space, spaces};
use super::variables::variables;
use crate::suite::{ConfigError, Registry, Settings, name_meant};

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
    /// The variants that its grid makes.
    pub(super) points: Vec<GridPoint>,
    figment: Figment,
}

impl Layers {
    /// The table `key`, whose content another part of the program checks.
    pub(super) fn table(&self, key: &str) -> Settings {
        Settings::new(self.figment.focus(key))
    }

    /// The table `search`: its own keys, and the spaces of the methods.
    ///
    /// # Errors
    /// [`ConfigError`] with the first key or value that is wrong.
    pub(super) fn search(&self) -> Result<(SearchKeys, Vec<Space>), ConfigError> {
        let spaces = spaces(&self.experiment.search)?;
        let hidden: Vec<&str> = spaces.iter().map(|space| space.method.as_str()).collect();
        let table = Without { table: self.figment.focus("search"), hidden: &hidden };
        let keys = Settings::new(Figment::from(table)).read::<SearchKeys>();
        let keys = keys.map_err(|error| ConfigError::from_settings(error, "search"))?;
        keys.check()?;
        Ok((keys, spaces))
    }

    /// The experiment's table `key`, with the values that the variants `tables` have in tables of the same name, then `settings`.
    ///
    /// # Errors
    /// If a key of `settings` is no key of TOML.
    pub(super) fn of_variants(
        &self,
        key: &str,
        tables: &[&str],
        settings: &[(&str, &toml::Value)],
    ) -> Result<Settings, ConfigError> {
        let of_variant = |table: &&str| self.figment.focus(&format!("method.{table}.{key}"));
        let all = std::iter::once(self.figment.focus(key)).chain(tables.iter().map(of_variant));
        let all = all.fold(Figment::new(), |all, table| all.merge(Without { table, hidden: &[] }));
        with_settings(all, settings)
    }

    /// The settings of a method: `tables`, merged, then the settings of a point of the grid; later ones override earlier ones.
    ///
    /// # Errors
    /// If a key of `settings` is no key of TOML.
    pub(super) fn method(
        &self,
        tables: &[MethodTable<'_>],
        settings: &[(&str, &toml::Value)],
    ) -> Result<Settings, ConfigError> {
        let of_table = |all: Figment, table: &MethodTable<'_>| {
            let hidden = &table.hidden[..];
            all.merge(Without { table: self.figment.focus(&format!("method.{}", table.name)), hidden })
        };
        with_settings(tables.iter().fold(Figment::new(), of_table), settings)
    }
}

/// `all` with single settings, which override it: dotted key, value.
fn with_settings(mut all: Figment, settings: &[(&str, &toml::Value)]) -> Result<Settings, ConfigError> {
    for (key, value) in settings {
        let name = format!("the grid or the search (`{key} = {value}`)");
        let text = assignment_as_toml(&format!("{key}={value}"))?;
        all = all.merge(NamedToml { name, text, nested: false });
    }
    Ok(Settings::new(all))
}

/// A table `method.*` of the configuration.
#[derive(Clone, Debug)]
pub(super) struct MethodTable<'a> {
    /// The part of its name after `method.`.
    pub(super) name: &'a str,
    /// The keys that are left out.
    pub(super) hidden: Vec<&'a str>,
}

/// Reads the experiment: its file's `default` table, the profile's table, `MTCOOL_*` variables, flags.
///
/// # Errors
/// [`ConfigError`] with the key, its place, and the expected value.
pub(super) fn read(
    source: &ExperimentSource,
    overrides: &Overrides,
    registry: &Registry,
) -> Result<Layers, ConfigError> {
    let (place, text) = (source.place(), &source.text);
    let tables = text.parse::<toml::Table>().map_err(|error| ConfigError::new(format!("{place}: {error}")))?;
    if !tables.contains_key("default") {
        let found: Vec<String> = tables.keys().map(|key| format!("`{key}`")).collect();
        return Err(ConfigError::new(format!(
            "{place} has no table `[default]`, which holds the settings of all profiles; at its top level are {}",
            if found.is_empty() { "no keys".to_owned() } else { found.join(", ") }
        )));
    }
    let profile = match &overrides.profile {
        Some(profile) if !tables.contains_key(profile) => {
            let valid: Vec<&str> = tables.keys().map(String::as_str).collect();
            return Err(ConfigError::unknown("profile", profile, &valid).within(place));
        }
        Some(profile) => Profile::new(profile),
        None => Profile::Default,
    };
    let file = NamedToml { name: format!("`{place}`"), text: text.clone(), nested: true };
    let plain = Figment::from(file).select(profile.clone());
    let mut figment = plain.clone();
    let of_variables = variables()?;
    let of_variables =
        of_variables.iter().map(|variable| (format!("the variable `{}`", variable.name), &variable.assignment));
    let given = overrides.assignments.iter();
    let given = given.map(|assignment| (format!("the command line (`{assignment}`)"), assignment));
    for (name, assignment) in of_variables.chain(given) {
        figment = figment.merge(NamedToml { name, text: assignment_as_toml(assignment)?, nested: false });
    }
    all_finite(&figment)?;
    let extract = |figment: &Figment| -> Result<Experiment, ConfigError> {
        let read = Settings::new(figment.clone()).read::<Experiment>();
        let read = read.map_err(|error| ConfigError::from_settings_among(error, "", &known_keys(figment, registry)))?;
        let (training, network) = (read.training.without_unused(), read.network.with_chosen_architecture());
        Ok(Experiment { training, network, ..read })
    };
    let (mut experiment, mut as_written) = (extract(&figment)?, extract(&plain)?);
    for read in [&mut experiment, &mut as_written] {
        with_exact_names(read, registry);
    }
    if let Some(name) = experiment.name.as_ref().filter(|name| **name != source.name) {
        let message = format!(
            "`name` is `{name}`: it is set in the table `[default]` of the experiment's file, and nowhere else"
        );
        return Err(ConfigError::new(message));
    }
    // After a change, the profile's words on the comparison with the paper may not describe the runs. A variant's settings change
    // its own row alone.
    let setting = |e: &Experiment| {
        let data = plain_values(&BTreeMap::from([(String::new(), e.data.settings.clone())]));
        let mut methods = e.method.clone();
        methods.retain(|_, table| !table.contains_key("like"));
        (e.precision, e.network.clone(), e.training.clone(), plain_values(&e.loss), plain_values(&methods), data)
    };
    experiment.has_changed_settings = setting(&experiment) != setting(&as_written);
    experiment.has_other_network = experiment.network != as_written.network;
    if let Some(count) = experiment.overfit {
        experiment.training = experiment.training.with_batches_of_at_most(count);
    }
    let points = points(&experiment.grid)?;
    Ok(Layers { experiment, first_block: as_written.methods, points, figment })
}

/// Replaces the names of methods that differ from a registered name or a table only in upper and lower case, hyphens and underscores.
fn with_exact_names(experiment: &mut Experiment, registry: &Registry) {
    let registered = registry.methods().iter().map(|method| &*method.name);
    let names: BTreeSet<&str> = registered.chain(experiment.method.keys().map(String::as_str)).collect();
    for method in &mut experiment.methods {
        // `all` stands for all of them.
        if let Some(name) = name_meant(names.iter().copied().chain(["all"]), method) {
            *method = name.to_owned();
        }
    }
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
    ///
    /// # Errors
    /// If a variable is not valid Unicode.
    pub fn with_variables(self) -> Result<Self, ConfigError> {
        let mut assignments: Vec<String> = variables()?.into_iter().map(|variable| variable.assignment).collect();
        assignments.extend(self.assignments);
        Ok(Self { assignments, ..self })
    }
}

/// A table of the selected profile without the keys `hidden`. Each value keeps its source.
struct Without<'a> {
    table: Figment,
    hidden: &'a [&'a str],
}

impl figment::Provider for Without<'_> {
    fn metadata(&self) -> figment::Metadata {
        figment::Metadata::named("settings of a method")
    }

    fn data(&self) -> figment::error::Result<figment::value::Map<Profile, Dict>> {
        self.table.data()?;
        // The profile is applied here, so that a variant's own value in the file's default table is not lost where the method that it
        // is like has another value in the profile.
        let mut table = merged(&self.table);
        table.retain(|key, _| !self.hidden.contains(&key.as_str()));
        Ok(BTreeMap::from([(Profile::Default, table)]))
    }

    fn __metadata_map(&self) -> Option<figment::value::Map<figment::value::Tag, figment::Metadata>> {
        figment::Provider::__metadata_map(&self.table)
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
pub(super) fn assignment_as_toml(assignment: &str) -> Result<String, ConfigError> {
    let refused = || Err(ConfigError::new(format!("`{assignment}`: expected KEY=VALUE, such as training.epochs=5")));
    let Some((key, value)) = assignment.split_once('=') else { return refused() };
    if format!("{key} = 0").parse::<toml::Table>().is_err() {
        return refused();
    }
    let plain = format!("{key} = {value}");
    Ok(match plain.parse::<toml::Table>() {
        Ok(table) if table.len() == 1 => plain,
        _ if has_too_large_a_number(value) => {
            let most = i64::MAX;
            return Err(ConfigError::new(format!("`{assignment}`: expected whole numbers up to {most}")));
        }
        _ => format!("{key} = {}", toml::Value::from(value)),
    })
}

/// Whether `value` is TOML but for a whole number that TOML cannot hold. (A path with many digits is a string.)
fn has_too_large_a_number(value: &str) -> bool {
    let is_toml = |value: &str| format!("key = {value}").parse::<toml::Table>().is_ok();
    let numbers = value.split(|letter: char| !letter.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let too_large: Vec<&str> = numbers.filter(|digits| digits.parse::<i64>().is_err()).collect();
    !too_large.is_empty() && is_toml(&too_large.iter().fold(value.to_owned(), |text, digits| text.replace(digits, "1")))
}
