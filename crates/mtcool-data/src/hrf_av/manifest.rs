//! The marker of a drawn set: the version of the drawing rules, the seed, and how many photographs of which size.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::names::SetShape;
use crate::error::Result;
use crate::fundus::GENERATOR;
use crate::manifest::read_manifest;
use crate::origin::Origin;

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
    Ok(match read_hrf_av_manifest(folder)? {
        None => (Origin::Real, SetShape::OFFICIAL),
        Some(manifest) => (Origin::Synthetic { seed: manifest.seed, generator: manifest.generator }, manifest.shape()),
    })
}

/// The manifest in `folder`, if there is one.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read_hrf_av_manifest(folder: &Path) -> Result<Option<HrfAvManifest>> {
    const REMEDY: &str = "delete the folder and run `cargo xtask data synth hrf-av` again";
    let parse = |value| serde_json::from_value(value).map_err(|error| error.to_string());
    read_manifest(folder, "the manifest of a synthetic set", REMEDY, parse)
}
