//! [`PlannedMethod`]: a row of the table with its checked settings.

use std::sync::Arc;

use figment::value::Dict;

use super::grid::{NETWORK, TRAINING};
use super::layers::{Layers, MethodTable};
use super::ranges::check_sizes;
use super::variants::{OWN_KEYS, Variant};
use crate::suite::{
    ConfigError, MethodEntry, MethodSettings, NetworkConfig, Registry, Settings, SettingsError, TrainingConfig,
    find_method,
};

/// A method, or a variant of one, with its settings: a row of the table.
#[derive(Clone, Debug)]
pub struct PlannedMethod {
    /// The method. For a variant, name and label are the variant's.
    pub entry: MethodEntry,
    /// The name of the method in the registry.
    pub like: String,
    /// The method or variant whose grid it is a point of.
    pub grid_of: Option<String>,
    /// Its settings, which were checked by building the method once.
    pub settings: Arc<dyn MethodSettings>,
    /// How it is trained: the experiment's table `training`, with what the variant changes in it.
    pub training: TrainingConfig,
    /// The network that it trains: the experiment's table `network`, with what the variant changes in it.
    pub network: NetworkConfig,
    /// Whether the experiment's file itself names it. These methods form the first block of the table.
    pub is_in_first_block: bool,
}

impl PlannedMethod {
    /// The name of its run with `seed` in messages, and the beginning of the name of the run's folder.
    pub fn run_name(&self, seed: u64) -> String {
        format!("{}-s{seed}", self.entry.name)
    }

    /// What the dotted `key` of its table has, or would have if it were written there; `None` for a key that is not set.
    pub(super) fn value(&self, key: &str) -> Option<toml::Value> {
        let found = match key.split_once('.') {
            Some((TRAINING, inner)) => at(&serde_json::to_value(&self.training).ok()?, inner).cloned(),
            Some((NETWORK, inner)) => at(&serde_json::to_value(&self.network).ok()?, inner).cloned(),
            _ => at(&self.settings.describe(), key).cloned(),
        };
        toml::Value::try_from(found?).ok()
    }

    /// The names that stand for it in `--only`.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.entry.name).chain(self.grid_of.as_deref())
    }

    /// Whether both have the same results: the same method of the registry with the same settings, training and network.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        let common = (&self.like, &self.training, &self.network) == (&other.like, &other.training, &other.network);
        common && self.settings.describe() == other.settings.describe()
    }
}

/// The value at the dotted `key` of `table`.
fn at<'a>(table: &'a serde_json::Value, key: &str) -> Option<&'a serde_json::Value> {
    key.split('.').try_fold(table, |inner, part| inner.get(part))
}

/// Reads the settings of `variant` and checks them by building the method once for `tasks` tasks.
pub(super) fn planned(
    layers: &Layers,
    variant: &Variant,
    registry: &Registry,
    tasks: usize,
) -> Result<PlannedMethod, ConfigError> {
    let name = &variant.name;
    let least = variant.entry.least_tasks;
    if tasks < least {
        return Err(ConfigError::new(format!(
            "method.{name}: it is defined for at least {least} tasks, but the data set has {tasks}; leave it out of `methods`"
        )));
    }
    let settings = read(layers, variant, registry)?;
    let wrong = |error| ConfigError::new(format!("method.{name}: {error}"));
    settings.check_tasks(tasks).map_err(wrong)?;
    let (training, network) = (training(layers, variant)?, network(layers, variant)?);
    check_sizes(&training, &network).map_err(|error| error.within(format!("method.{name}")))?;
    training.updates().map_err(|error| ConfigError::new(format!("method.{name}.training: {error}")))?;
    settings.build(&training, 0).map_err(wrong)?;
    let entry = MethodEntry { name: name.clone().into(), label: variant.label.clone().into(), ..variant.entry.clone() };
    let is_in_first_block = layers.first_block.contains(name);
    let (like, grid_of) = (variant.entry.name.to_string(), variant.grid_of.clone());
    Ok(PlannedMethod { entry, like, grid_of, settings: settings.into(), training, network, is_in_first_block })
}

/// The tables of `variant` that have a table `key`: those of variants, and that of its own method, but none that the method inherits from
/// another one.
///
/// # Errors
/// If one of them has something else there.
fn with_table<'a>(layers: &Layers, variant: &'a Variant, key: &str) -> Result<Vec<&'a str>, ConfigError> {
    let mut found = Vec::new();
    for name in &variant.tables {
        let is_own = |table: &&Dict| table.contains_key("like") || *name == *variant.entry.name;
        let table = layers.experiment.method.get(name).filter(is_own);
        let Some(value) = table.and_then(|table| table.get(key)) else { continue };
        if value.as_dict().is_none() {
            return Err(ConfigError::new(format!(
                "`method.{name}.{key}`: expected a table with values for keys of `{key}`, such as `{{ epochs = 16 }}` for `training`"
            )));
        }
        found.push(name.as_str());
    }
    Ok(found)
}

/// The settings of the variant's point of a grid or a search that are in its table `table`, by their keys there.
fn settings_below<'a>(table: &str, variant: &'a Variant) -> Vec<(&'a str, &'a toml::Value)> {
    let settings = variant.settings.iter();
    settings.filter_map(|(key, value)| Some((key.strip_prefix(table)?.strip_prefix('.')?, value))).collect()
}

fn training(layers: &Layers, variant: &Variant) -> Result<TrainingConfig, ConfigError> {
    let tables = with_table(layers, variant, TRAINING)?;
    let (common, settings) = (&layers.experiment.training, settings_below(TRAINING, variant));
    if tables.is_empty() && settings.is_empty() {
        return Ok(common.clone());
    }
    let last = tables.last().copied().unwrap_or(&*variant.name);
    let read = layers.of_variants(TRAINING, &tables, &settings)?.read::<TrainingConfig>();
    let read = read.map_err(|error| ConfigError::from_settings(error, &format!("method.{last}.{TRAINING}")))?;
    Ok(match layers.experiment.overfit {
        Some(count) => read.without_unused().with_batches_of_at_most(count),
        None => read.without_unused(),
    })
}

fn network(layers: &Layers, variant: &Variant) -> Result<NetworkConfig, ConfigError> {
    let tables = with_table(layers, variant, NETWORK)?;
    let (common, settings) = (&layers.experiment.network, settings_below(NETWORK, variant));
    if tables.is_empty() && settings.is_empty() {
        return Ok(common.clone());
    }
    let last = tables.last().copied().unwrap_or(&*variant.name);
    let read = layers.of_variants(NETWORK, &tables, &settings)?.read::<NetworkConfig>();
    let read = read.map_err(|error| ConfigError::from_settings(error, &format!("method.{last}.{NETWORK}")))?;
    if read.kind != common.kind {
        let message = format!("`method.{last}.{NETWORK}.kind`: all rows of a table have the kind of `network.kind`");
        return Err(ConfigError::new(message));
    }
    Ok(read.with_chosen_architecture())
}

/// Reads the settings. Of the table that the method inherits from another one, it takes only the settings that it has itself.
fn read(layers: &Layers, variant: &Variant, registry: &Registry) -> Result<Box<dyn MethodSettings>, ConfigError> {
    let (entry, given) = (&variant.entry, &layers.experiment.method);
    let inherited = entry.inherits.as_deref();
    let mut tables: Vec<MethodTable<'_>> = Vec::new();
    for name in variant.tables.iter().filter(|name| given.contains_key(*name)) {
        let is_variant = find_method(registry.methods(), name).is_err();
        let hidden = if is_variant { OWN_KEYS.to_vec() } else { vec![TRAINING, NETWORK] };
        tables.push(MethodTable { name, hidden });
    }
    let is_below = |key: &str| [TRAINING, NETWORK].iter().any(|table| key.split('.').next() == Some(table));
    let own = variant.settings.iter().filter(|(key, _)| !is_below(key));
    let own: Vec<(&str, &toml::Value)> = own.map(|(key, value)| (key.as_str(), value)).collect();
    loop {
        let settings = layers.method(&tables, &own)?;
        let error = match (entry.settings)(&settings, registry.methods()) {
            Ok(settings) => return Ok(settings),
            Err(error) => error,
        };
        let has_key = |table: &MethodTable<'_>, key: &str| {
            !table.hidden.contains(&key) && given.get(table.name).is_some_and(|table| table.contains_key(key))
        };
        // The value comes from the last table that has the key.
        let place = error.key().and_then(|key| tables.iter().rposition(|table| has_key(table, key)));
        let foreign = place.filter(|&at| inherited == Some(tables[at].name)).zip(error.unknown_key());
        match foreign {
            Some((at, key)) if !is_unknown(layers, &tables[at], key, registry) => {
                let known = given[tables[at].name].keys().find(|known| known.as_str() == key);
                tables[at].hidden.extend(known.map(String::as_str));
            }
            _ => {
                let table = place.map_or(&*variant.name, |at| tables[at].name);
                return Err(ConfigError::from_settings(error, &format!("method.{table}")));
            }
        }
    }
}

/// Whether the method that the table `table` belongs to does not know the key either.
fn is_unknown(layers: &Layers, table: &MethodTable<'_>, key: &str, registry: &Registry) -> bool {
    let own = [MethodTable { name: table.name, hidden: vec![TRAINING, NETWORK] }];
    let read = |entry: &MethodEntry| -> Result<(), SettingsError> {
        let settings = layers.method(&own, &[]).unwrap_or_else(|_| Settings::default());
        (entry.settings)(&settings, registry.methods()).map(drop)
    };
    registry.method(table.name).is_ok_and(|entry| read(entry).is_err_and(|error| error.unknown_key() == Some(key)))
}
