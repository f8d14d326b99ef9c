//! Reads the configuration of a run back from its `config.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::suite::{ConfigError, NetworkConfig, PrecisionSetting};

/// The part of a run's configuration that is needed to use its network.
#[derive(Clone, Debug, Deserialize)]
pub struct StoredConfig {
    /// The name of a data set of the registry.
    pub dataset: String,
    /// The name of a method of the registry.
    pub method: String,
    /// Its seed.
    pub seed: u64,
    /// Sizes of the network.
    pub network: NetworkConfig,
    /// The precision of the operands of convolutions and linear layers.
    #[serde(default)]
    pub precision: PrecisionSetting,
    /// How synthetic files were drawn; `null` for real data.
    #[serde(default)]
    pub origin: serde_json::Value,
    /// A digest of the content of the files, if the data set provides one.
    #[serde(default)]
    pub files: serde_json::Value,
    /// Settings of the data set.
    #[serde(default)]
    pub data: serde_json::Value,
}

impl StoredConfig {
    /// Reads the text of the file.
    ///
    /// # Errors
    /// If the text is damaged or was written by another version of this program.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::new(error.to_string()))
    }
}

/// The whole configuration of a run, for lists of runs and comparisons of their settings.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSettings {
    /// The name of its method in the registry.
    pub method: String,
    /// Its seed.
    pub seed: u64,
    /// Everything in its `config.toml`.
    pub table: toml::Table,
}

impl StoredSettings {
    /// Reads the text of the file.
    ///
    /// # Errors
    /// If the text is damaged, or has no method or no seed.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let table: toml::Table = text.parse().map_err(|error| ConfigError::new(format!("{error}")))?;
        let missing = |key: &str| ConfigError::new(format!("missing key `{key}`"));
        let method =
            table.get("method").and_then(|method| method.as_str()).ok_or_else(|| missing("method"))?.to_owned();
        let seed = table.get("seed").and_then(toml::Value::as_integer).and_then(|seed| u64::try_from(seed).ok());
        Ok(Self { method, seed: seed.ok_or_else(|| missing("seed"))?, table })
    }

    /// Every setting as text, by its dotted key, such as `training.epochs` and `settings.bound`; without seed and hash.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::new();
        for (key, value) in self.table.iter().filter(|(key, _)| !["hash", "seed"].contains(&key.as_str())) {
            flatten(key, value, &mut settings);
        }
        settings
    }
}

fn flatten(key: &str, value: &toml::Value, settings: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (inner, value) in table {
                flatten(&format!("{key}.{inner}"), value, settings);
            }
        }
        value => {
            settings.insert(key.to_owned(), as_written(value).to_string());
        }
    }
}

/// The value as it was written: a number that was stored in single precision has digits that nobody wrote, such as
/// 0.07999999821186066 for 0.08.
fn as_written(value: &toml::Value) -> toml::Value {
    match value {
        toml::Value::Array(values) => toml::Value::Array(values.iter().map(as_written).collect()),
        toml::Value::Table(table) => {
            toml::Value::Table(table.iter().map(|(key, value)| (key.clone(), as_written(value))).collect())
        }
        toml::Value::Float(number) => {
            let single = *number as f32;
            let short = if f64::from(single) == *number { single.to_string().parse().ok() } else { None };
            toml::Value::Float(short.unwrap_or(*number))
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_dotted_key() {
        let text = "method = \"mtcool\"\nseed = 3\nhash = \"ab\"\n[training]\nepochs = 2\n[settings]\nbound = 0.02\n";
        let stored = StoredSettings::parse(text).unwrap();
        assert_eq!((stored.method.as_str(), stored.seed), ("mtcool", 3));
        let settings: Vec<(String, String)> = stored.settings().into_iter().collect();
        let want = [("method", "\"mtcool\""), ("settings.bound", "0.02"), ("training.epochs", "2")];
        assert_eq!(settings, want.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let single = |number: f32| f64::from(number);
        let text = format!(
            "method = \"joint\"\nseed = 0\n[data]\nscale = {}\nsizes = [{}, 64.0, 0.1]\nrate = 1e-8\nparts = [{{ share = {} }}]\n",
            single(0.08),
            single(0.3),
            single(0.7)
        );
        let settings = StoredSettings::parse(&text).unwrap().settings();
        let of = |key: &str| settings[key].as_str();
        assert_eq!((of("data.scale"), of("data.sizes"), of("data.rate")), ("0.08", "[0.3, 64.0, 0.1]", "0.00000001"));
        assert_eq!(of("data.parts"), "[{ share = 0.7 }]");
        for (damaged, key) in [("seed = 1", "method"), ("method = \"joint\"", "seed"), ("method = ", "")] {
            assert!(StoredSettings::parse(damaged).unwrap_err().to_string().contains(key), "{damaged}");
        }
    }
}
