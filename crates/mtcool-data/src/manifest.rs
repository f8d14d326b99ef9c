//! The file that marks a folder of synthetic data: how it is read and written.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result, at};
use crate::files::write_whole;

/// The name of the file in every synthetic set; there is none in a folder of published files.
pub(crate) const MANIFEST: &str = "synthetic.json";

/// The manifest in `folder`, if there is one. `parse` reads the JSON value of `expected`, or describes what is wrong with it.
///
/// # Errors
/// [`Error::Corrupt`] with `remedy` if the file is not as expected; [`Error::Io`] if it cannot be read.
pub(crate) fn read_manifest<T>(
    folder: &Path,
    expected: &str,
    remedy: &'static str,
    parse: impl FnOnce(Value) -> Result<T, String>,
) -> Result<Option<T>> {
    let file = folder.join(MANIFEST);
    if !file.exists() {
        return Ok(None);
    }
    let bytes = std::fs::read(&file).map_err(at(&file))?;
    let value = serde_json::from_slice(&bytes).map_err(|error| error.to_string());
    let parsed = value.and_then(parse);
    parsed.map(Some).map_err(|got| Error::Corrupt { file, expected: expected.to_owned(), got, remedy })
}

/// Writes `manifest` into `folder`.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write_manifest(folder: &Path, manifest: &impl Serialize) -> Result<()> {
    let file = folder.join(MANIFEST);
    let text = serde_json::to_vec_pretty(manifest).map_err(|error| at(&file)(error.into()))?;
    write_whole(&file, &text)
}
