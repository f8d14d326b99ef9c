//! The marker of a drawn set: the version of the drawing rules, the seed, and how many photographs of which size.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::names::SetShape;
use crate::error::{Error, Result, at};
use crate::fundus::GENERATOR;
use crate::origin::Origin;

/// Present in a folder of drawn photographs only.
pub(super) const MANIFEST: &str = "synthetic.json";

/// The content of the file beside drawn photographs.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HrfAvManifest {
    generator: u32,
    seed: u64,
    numbers: u8,
    size: [usize; 2],
}

impl HrfAvManifest {
    /// The manifest of a set of `shape` that the current rules draw from `seed`.
    pub(super) fn of(shape: SetShape, seed: u64) -> Self {
        let SetShape { numbers, size } = shape;
        Self { generator: GENERATOR, seed, numbers, size }
    }

    /// What the folder should hold.
    pub(super) fn shape(self) -> SetShape {
        SetShape { numbers: self.numbers, size: self.size }
    }
}

/// Whether `folder` holds drawn photographs, and how many of which size it should hold.
///
/// # Errors
/// If the manifest of a drawn set cannot be read.
pub fn origin(folder: &Path) -> Result<(Origin, SetShape)> {
    Ok(match read_manifest(folder)? {
        None => (Origin::Real, SetShape::OFFICIAL),
        Some(manifest) => (Origin::Synthetic { seed: manifest.seed, generator: manifest.generator }, manifest.shape()),
    })
}

/// The manifest in `folder`, if there is one.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read_manifest(folder: &Path) -> Result<Option<HrfAvManifest>> {
    let path = folder.join(MANIFEST);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = std::fs::read(&path).map_err(at(&path))?;
    serde_json::from_slice(&bytes).map(Some).map_err(|error| Error::Corrupt {
        file: path,
        expected: "the manifest of a synthetic set".into(),
        got: error.to_string(),
        remedy: "delete the folder and run `cargo xtask data synth hrf-av` again",
    })
}
