//! The setting for the same photograph under several names, which the sets of photographs share.

use serde::{Deserialize, Serialize};

/// How the same photograph under several names is treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Copies {
    /// Refuse the data set with an error that names all of them.
    #[default]
    Refuse,
    /// Use all of them.
    Allow,
}

impl Copies {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::Refuse
    }
}
