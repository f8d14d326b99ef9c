//! [`DataRecord`]: the files and the samples that a run was made of, as its folder names them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The files and the samples of an opened data set. It is written beside a run's results and is not part of its identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRecord {
    /// A digest of the content of all files, in hexadecimal; `None` if the data set gives none.
    pub digest: Option<String>,
    /// Checksums of single files, by name, where the data set has them: `md5:...` or `sha256:...`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Names of the samples that networks are trained on, or ranges of them.
    pub train: Vec<String>,
    /// Names of the samples of the validation split, on which settings are selected.
    pub validation: Vec<String>,
    /// Names of the samples of the test split.
    pub test: Vec<String>,
}
