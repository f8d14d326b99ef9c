//! What is known about a data set of the user's own before any training.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::place::DataPlace;

/// Looks at every file of a folder, with checked settings.
pub type Inspect = fn(DataPlace<'_>, &Value) -> Result<Inspected>;

/// Looks at the files of a folder and returns the text of an experiment's file for it.
pub type Suggest = fn(&Path) -> Result<String>;

/// What was found.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// In words, with everything that has to be mended.
    pub text: String,
    /// The same with pictures, as an HTML page that needs no other file.
    pub page: String,
    /// Whether nothing has to be mended before training.
    pub is_usable: bool,
}
