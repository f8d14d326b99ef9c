//! Reads the network and the data of a run back from its `config.toml`.

use serde::Deserialize;

use crate::suite::{ConfigError, NetworkConfig, PrecisionSetting};

/// The part of a run's configuration that is needed to use its network.
#[derive(Clone, Debug, Deserialize)]
pub struct StoredConfig {
    /// The name of a data set of the registry.
    pub dataset: String,
    /// The name of a method of the registry.
    pub method: String,
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
