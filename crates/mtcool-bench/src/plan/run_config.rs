//! The identity of a run: everything that determines its result, and the hash of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::diagnosis::Diagnosis;
use crate::suite::{ConfigError, NetworkConfig, PrecisionSetting, Split, TrainingConfig};

/// Version of the program's numbers, part of every run's hash. It is raised with each change after which the same configuration
/// may give different numbers, even if only the last bits differ. CONTRIBUTING.md explains when.
pub const RESULTS_VERSION: u32 = 4;

/// Number of cards of a machine whose runs by earlier versions are found.
const MOST_CARDS: u32 = 16;

/// The identity of the data that a run uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataIdentity {
    /// How synthetic files were drawn; `null` for real data.
    pub origin: Value,
    /// A digest of the content of the files; `null` where fixed checksums already determine it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub files: Value,
    /// Number of training samples of each task; empty in records of earlier versions. A run's configuration does not have it: it
    /// follows from the files and the data set's settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<u64>,
}

impl DataIdentity {
    /// Whether both are the same data, as far as both tell.
    pub fn is_same(&self, other: &Self) -> bool {
        let same_samples = self.samples == other.samples || self.samples.is_empty() || other.samples.is_empty();
        self.origin == other.origin && self.files == other.files && same_samples
    }
}

/// One run: everything that determines its result, and nothing else.
#[derive(Clone, Debug, Serialize)]
pub struct RunConfig {
    /// [`RESULTS_VERSION`] of the program.
    pub results_version: u32,
    /// Name of the experiment.
    pub experiment: String,
    /// Name of the method in the registry. A variant's name is not part of the run's identity, since it changes no result.
    pub method: String,
    /// Seed of initial weights, batches and noise.
    pub seed: u64,
    /// The kind of device: `cpu` or `cuda`. Its number is not part of the run's identity.
    pub device: String,
    /// Name of the data set.
    pub dataset: String,
    /// The split that is evaluated at the end.
    pub report: Split,
    /// The diagnosis that the run is executed for. Runs of tables have none, and it is left out of their identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Diagnosis>,
    /// The precision of the operands of convolutions and linear layers. The default is left out of the run's identity.
    #[serde(skip_serializing_if = "PrecisionSetting::is_default")]
    pub precision: PrecisionSetting,
    /// Number of steps between two measurements of the tasks' gradients. 0 turns them off and is left out of the run's identity.
    #[serde(skip_serializing_if = "is_zero")]
    pub probe_every: u64,
    /// How synthetic files were drawn; `null` for real data.
    pub origin: Value,
    /// A digest of the content of the files. It is `null`, and left out of the run's identity, where fixed checksums already
    /// determine it.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub files: Value,
    /// The data set's own settings with defaults filled in. It is `null`, and left out of the run's identity, if there are none.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub data: Value,
    /// Number of training examples of a run that is trained and measured on the same few ones; left out of the identity of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overfit: Option<u64>,
    /// Sizes of the network.
    pub network: NetworkConfig,
    /// The settings that all methods share.
    pub training: TrainingConfig,
    /// The loss of each task, with defaults filled in.
    pub loss: BTreeMap<String, Value>,
    /// The method's own settings, with defaults filled in.
    pub settings: Value,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl RunConfig {
    /// SHA-256 of the whole configuration, in hexadecimal. Two runs with the same hash have the same result.
    pub fn hash(&self) -> String {
        // Every field is a plain value, so the conversion to JSON cannot fail.
        let text = serde_json::to_string(self).unwrap_or_default();
        Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
    /// Whether `hash` is the hash of this configuration, as this version of the program or an earlier one computes it. In earlier
    /// versions, the number of a card was part of the identity.
    pub fn has_hash(&self, hash: &str) -> bool {
        let on_card = |number: u32| Self { device: format!("{}:{number}", self.device), ..self.clone() }.hash() == hash;
        self.hash() == hash || self.device == "cuda" && (0..MOST_CARDS).any(on_card)
    }

    /// The text of `config.toml`: the configuration and its hash. Null values are left out, since TOML has no null.
    ///
    /// # Errors
    /// If a setting cannot be written as TOML, such as a list with a null value.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        let failed = |error: &dyn std::fmt::Display| ConfigError::new(format!("the configuration as TOML: {error}"));
        let mut value = serde_json::to_value(self).map_err(|error| failed(&error))?;
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|_, field| !field.is_null());
            fields.insert("hash".into(), self.hash().into());
        }
        toml::to_string_pretty(&value).map_err(|error| failed(&error))
    }
}
