//! The marker of a synthetic set: the version of the drawing rules, the settings, and the checksum of every file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::names::{Counts, RefugePart};
use super::synthesis::RefugeSynthesis;
use crate::error::{Error, Result};
use crate::fundus::GENERATOR;
use crate::manifest::{read_manifest, write_manifest};
use crate::origin::Origin;

/// The version of folder and manifest. In version 1, the photographs of all parts had one size.
const VERSION: u64 = 2;
/// What a user can do about a folder that cannot be used.
const REMEDY: &str = "delete the folder and draw the photographs again, or name another folder: `--set data.folder=DIR`, with \
                      `cargo xtask data synth refuge` `--data DIR`";

/// The content of the file beside synthetic photographs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RefugeManifest {
    version: u64,
    /// The version of the drawing rules.
    pub(super) generator: u32,
    pub(super) config: RefugeSynthesis,
    /// The SHA-256 of each file by its path within the folder; empty while the set is being drawn.
    pub(super) files: BTreeMap<PathBuf, String>,
}

impl RefugeManifest {
    /// The manifest of a set that is being drawn.
    pub(super) fn new(config: RefugeSynthesis) -> Self {
        Self { version: VERSION, generator: GENERATOR, config, files: BTreeMap::new() }
    }

    /// The manifest in `folder`, if there is one.
    ///
    /// # Errors
    /// If it cannot be read, or is of another version.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>> {
        let expected = format!("the manifest of a synthetic set of version {VERSION}");
        read_manifest(folder, &expected, REMEDY, |value| {
            match value.get("version").and_then(Value::as_u64).unwrap_or(1) {
                VERSION => {
                    let manifest: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
                    manifest.config.check().map_err(|error| error.to_string())?;
                    Ok(manifest)
                }
                version => Err(format!("one of version {version}")),
            }
        })
    }

    /// The error that refuses to draw `wanted` into the `folder` that holds this set.
    pub(super) fn in_the_way_of(&self, wanted: &RefugeSynthesis, folder: &Path) -> Error {
        let name = |generator: u32, config: &RefugeSynthesis| {
            let RefugeSynthesis { train, validation, test, size, seed } = config;
            format!(
                "{train} + {validation} + {test} synthetic photographs (seed {seed}, size {size:?}, drawing rules {generator})"
            )
        };
        Error::Corrupt {
            file: folder.to_owned(),
            expected: format!("an empty folder, or one with {}", name(GENERATOR, wanted)),
            got: name(self.generator, &self.config),
            remedy: REMEDY,
        }
    }

    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        write_manifest(folder, self)
    }

    pub(super) fn origin(&self) -> Origin {
        Origin::Synthetic { seed: self.config.seed, generator: self.generator }
    }

    pub(super) fn counts(&self) -> Counts {
        self.config.counts()
    }

    /// (height, width) of the photographs of `part`.
    pub(super) fn size(&self, part: RefugePart) -> [usize; 2] {
        self.config.size_of(part)
    }

    /// How many times shorter the sides of the photographs are than those of the official ones.
    pub(super) fn scale(&self) -> usize {
        self.config.scale()
    }
}
