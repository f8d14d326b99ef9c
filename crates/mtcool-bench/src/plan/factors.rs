//! [`Factor`]: rows of the table that differ in one setting.

use serde::Deserialize;

/// Rows that differ in one setting, and rows to compare them with.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// The factor in words.
    pub title: String,
    /// The methods and variants that differ in it, in the order in which they are shown.
    pub rows: Vec<String>,
    /// Methods and variants to compare them with.
    #[serde(default)]
    pub against: Vec<String>,
}
