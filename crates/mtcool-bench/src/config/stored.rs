//! What a run's `config.toml` says of its network and its data, read back.

use serde::Deserialize;

use super::error::ConfigError;
use super::schema::{NetworkConfig, PrecisionSetting};

/// The part of a run's config that whoever uses its network needs.
#[derive(Clone, Debug, Deserialize)]
pub struct StoredConfig {
    /// A data set of the registry.
    pub dataset: String,
    /// A method of the registry.
    pub method: String,
    /// Sizes of the network.
    pub network: NetworkConfig,
    /// Of its operands.
    #[serde(default)]
    pub precision: PrecisionSetting,
    /// How its data were drawn; `null` for the real data.
    #[serde(default)]
    pub origin: serde_json::Value,
    /// What its samples are beyond that, if the data set says so.
    #[serde(default)]
    pub files: serde_json::Value,
    /// Settings of the data set.
    #[serde(default)]
    pub data: serde_json::Value,
}

impl StoredConfig {
    /// From the text of the file.
    ///
    /// # Errors
    /// If it is damaged or of another version of this program.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::new(error.to_string()))
    }
}
