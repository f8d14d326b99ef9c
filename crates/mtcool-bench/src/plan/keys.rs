//! The names of all keys that an experiment may have, for suggestions where a key is unknown.

use figment::Figment;
use figment::error::Kind;
use figment::value::{Dict, Value};
use serde::de::DeserializeOwned;

use super::experiment::{DataConfig, Experiment};
use super::ranges::merged;
use super::spaces::SearchKeys;
use crate::suite::{MethodEntry, NetworkConfig, Registry, Settings, SettingsError, SyntheticConfig, TrainingConfig};

/// No table has a key of this name, so that reading it fails with a list of the keys that it may have.
const NO_KEY: &str = "?";

/// All keys, such as `training.epochs`: those that a part of the program reads, and those in `figment`.
pub(super) fn known_keys(figment: &Figment, registry: &Registry) -> Vec<String> {
    let mut keys = Vec::new();
    let mut table = |prefix: &str, fields: Vec<&str>| {
        let dot = if prefix.is_empty() { "" } else { "." };
        keys.extend(fields.into_iter().map(|field| format!("{prefix}{dot}{field}")));
    };
    table("", fields_of::<Experiment>());
    table("training", fields_of::<TrainingConfig>());
    table("network", fields_of::<NetworkConfig>());
    table("search", fields_of::<SearchKeys>());
    table("data", fields_of::<DataConfig>());
    table("data.synthetic", fields_of::<SyntheticConfig>());
    let dataset = figment.extract_inner::<String>("dataset").ok();
    if let Some(dataset) = dataset.and_then(|name| registry.dataset(&name).ok()) {
        table("data.settings", expected((dataset.settings)(&unreadable()).err()));
    }
    let of_method = |method: &MethodEntry| expected((method.settings)(&unreadable(), registry.methods()).err());
    for method in registry.methods() {
        // A key that a method usually takes from another method's table is meant there.
        let other = method.inherits.as_deref().and_then(|other| registry.method(other).ok());
        let inherited = other.map(of_method).unwrap_or_default();
        let own = of_method(method).into_iter().filter(|key| !inherited.contains(key));
        table(&format!("method.{}", method.name), own.collect());
    }
    for (key, value) in &merged(figment) {
        collect(key.clone(), value, &mut keys);
    }
    // The tables of methods, such as `method.mtcool`, are meant by their names as well.
    keys.extend(registry.methods().iter().map(|method| format!("method.{}", method.name)));
    let mut seen = std::collections::BTreeSet::new();
    keys.retain(|key| seen.insert(key.clone()));
    keys
}

/// A table with a key that nobody knows.
fn unreadable() -> Settings {
    Settings::new(Figment::from((NO_KEY, 0)))
}

/// The keys of the tables that are read as a `T`.
fn fields_of<T: DeserializeOwned>() -> Vec<&'static str> {
    expected(unreadable().read::<T>().err())
}

/// The keys that would have been valid instead of the unknown one.
fn expected(error: Option<SettingsError>) -> Vec<&'static str> {
    match error.map(|error| error.0.kind) {
        Some(Kind::UnknownField(_, valid)) => valid.to_vec(),
        _ => Vec::new(),
    }
}

/// The keys of `value`, which is at `key`, except those of the paper's results and those of a search.
fn collect(key: String, value: &Value, keys: &mut Vec<String>) {
    let inner: Option<&Dict> = value.as_dict().filter(|_| !["reference", "paper", "search"].contains(&key.as_str()));
    match inner {
        Some(table) => table.iter().for_each(|(name, value)| collect(format!("{key}.{name}"), value, keys)),
        None => keys.push(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_every_table_are_known_written_or_not() {
        let figment = Figment::from(("dataset", "hrf-av"));
        let keys = known_keys(&figment, &Registry::builtin());
        for key in [
            "seeds",
            "precision",
            "training.epochs",
            "training.clip_norm",
            "network.classifier",
            "data.folder",
            "data.synthetic.shrink",
            "data.settings.patches_per_photograph",
            "method.mtcool.warmup_iterations",
            "method.cagrad.c",
            "search.trials",
            "method.mtcool",
        ] {
            assert!(keys.iter().any(|known| known == key), "no `{key}` among {keys:?}");
        }
    }
}
