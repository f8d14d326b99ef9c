//! The rows that an experiment may ask for: methods of the registry, and variants of them with settings of their own.

use figment::value::{Dict, Value};

use super::experiment::Experiment;
use super::grid::{GridPoint, NETWORK, TRAINING};
use crate::suite::{ConfigError, MethodEntry, Registry};

/// The keys of a variant's table that are no settings of its method.
pub(super) const OWN_KEYS: [&str; 4] = ["like", "label", TRAINING, NETWORK];

/// The rows that an experiment may ask for.
pub(super) struct Rows<'a> {
    pub(super) experiment: &'a Experiment,
    pub(super) points: &'a [GridPoint],
    pub(super) registry: &'a Registry,
}

/// A method of the registry, or a variant of one.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    /// Its name in TOML files and flags.
    pub(super) name: String,
    /// Its name in tables.
    pub(super) label: String,
    /// The method of the registry.
    pub(super) entry: MethodEntry,
    /// The tables `[method.*]` that its settings come from; a later table overrides an earlier one.
    pub(super) tables: Vec<String>,
    /// The method or variant whose grid it is a point of.
    pub(super) grid_of: Option<String>,
    /// The settings of its point of the grid, which override all tables.
    pub(super) settings: Vec<(String, toml::Value)>,
}

impl Rows<'_> {
    /// The row called `name`.
    ///
    /// # Errors
    /// If there is no such method or variant, or a variant's `like` leads to none.
    pub(super) fn find(&self, name: &str) -> Result<Variant, ConfigError> {
        self.follow(name, &mut Vec::new())
    }

    /// The row `name`, which `path` leads to: the variants that are like it.
    fn follow(&self, name: &str, path: &mut Vec<String>) -> Result<Variant, ConfigError> {
        if path.iter().any(|passed| passed == name) {
            return Err(ConfigError::new(format!("`method.{name}.like`: this variant is like itself")));
        }
        path.push(name.to_owned());
        if let Some(point) = self.points.iter().find(|point| point.name == name) {
            let base = self.follow(&point.base, path)?;
            let label = format!("{}, {}", base.label, point.words);
            let (settings, grid_of) = (point.settings.clone(), Some(point.base.clone()));
            return Ok(Variant { name: name.to_owned(), label, settings, grid_of, ..base });
        }
        let Some((table, like)) = self.variant_table(name)? else {
            let entry = self.registry.method(name).map_err(|_| self.unknown(name))?;
            let (name, label) = (entry.name.to_string(), entry.label.to_string());
            let tables = entry.tables().map(str::to_owned).collect();
            return Ok(Variant { name, label, tables, entry: entry.clone(), grid_of: None, settings: Vec::new() });
        };
        let base = self.follow(like, path).map_err(|error| error.within(format!("`method.{name}.like`")))?;
        let label = text(name, table, "label")?.unwrap_or(name).to_owned();
        let tables = [base.tables, vec![name.to_owned()]].concat();
        Ok(Variant { name: name.to_owned(), label, tables, grid_of: None, ..base })
    }

    /// The table of the variant `name` and its `like`; `None` if `name` is a method of the registry or has no such table.
    fn variant_table(&self, name: &str) -> Result<Option<(&Dict, &str)>, ConfigError> {
        let is_method = self.registry.methods().iter().any(|entry| entry.name == name);
        match self.experiment.method.get(name).filter(|_| !is_method) {
            Some(table) => Ok(text(name, table, "like")?.map(|like| (table, like))),
            None => Ok(None),
        }
    }

    /// The names of the variants that the experiment's file defines.
    pub(super) fn variants(&self) -> impl Iterator<Item = &str> {
        let is_method = |name: &str| self.registry.methods().iter().any(|entry| entry.name == name);
        self.experiment.method.keys().map(String::as_str).filter(move |name| !is_method(name))
    }

    /// The names of the rows that `methods`, a value of the key `methods`, stands for: `all` for all methods and variants, and a
    /// method with a grid for the points of the grid.
    pub(super) fn expand(&self, methods: &[String]) -> Vec<String> {
        let points_of = |base: &str| -> Vec<String> {
            self.points.iter().filter(|point| point.base == base).map(|point| point.name.clone()).collect()
        };
        let expanded = |name: &String| match points_of(name) {
            points if points.is_empty() => vec![name.clone()],
            points => points,
        };
        match methods {
            [all] if all == "all" => self.all().iter().flat_map(expanded).collect(),
            methods => methods.iter().flat_map(expanded).collect(),
        }
    }

    /// The names of the rows that the experiment asks for. The points of a grid follow at the end if neither they nor their method
    /// is among the experiment's methods.
    pub(super) fn asked(&self) -> Vec<String> {
        let mut asked = self.expand(&self.experiment.methods);
        let is_named = |base: &str| self.points.iter().any(|point| point.base == base && asked.contains(&point.name));
        let left_out: Vec<String> =
            self.points.iter().filter(|point| !is_named(&point.base)).map(|point| point.name.clone()).collect();
        asked.extend(left_out);
        asked
    }

    /// The names of all methods of the registry and of all variants of the file.
    pub(super) fn all(&self) -> Vec<String> {
        let of_registry = self.registry.methods().iter().map(|entry| entry.name.to_string());
        of_registry.chain(self.variants().map(str::to_owned)).collect()
    }

    fn unknown(&self, name: &str) -> ConfigError {
        let of_registry = self.registry.methods().iter().map(|entry| &*entry.name);
        let of_points = self.points.iter().map(|point| point.name.as_str());
        let has_like = |name: &&str| self.experiment.method.get(*name).is_some_and(|table| table.contains_key("like"));
        let valid: Vec<&str> = of_registry.chain(self.variants().filter(has_like)).chain(of_points).collect();
        let error = ConfigError::unknown("method", name, &valid);
        if self.experiment.method.contains_key(name) {
            ConfigError::new(format!(
                "{error}; a variant needs the key `like`: `[method.{name}]` with `like = \"mtcool\"`"
            ))
        } else {
            error
        }
    }
}

/// The text at `key` of a variant's table.
fn text<'a>(variant: &str, table: &'a Dict, key: &str) -> Result<Option<&'a str>, ConfigError> {
    let expected = || ConfigError::new(format!("`method.{variant}.{key}`: expected a text"));
    table.get(key).map(|value| Value::as_str(value).ok_or_else(expected)).transpose()
}
