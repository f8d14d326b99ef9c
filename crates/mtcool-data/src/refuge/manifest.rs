//! The marker of a synthetic set: what drew it, from what, and the checksum of every file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::names::{Counts, Name, Part};
use super::synthetic::RefugeSynthesis;
use crate::error::{Error, Result, at};
use crate::files::write_whole;
use crate::mnist::Origin;

/// Present in a folder of synthetic photographs only.
pub(super) const MANIFEST: &str = "synthetic.json";

/// Stands beside synthetic photographs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The version of the drawing rules.
    pub(super) generator: u32,
    pub(super) config: RefugeSynthesis,
    /// Path within the folder to SHA-256; empty while the set is being drawn.
    pub(super) files: BTreeMap<PathBuf, String>,
}

impl Manifest {
    /// The manifest in `folder`, if there is one.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(MANIFEST);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = std::fs::read(&path).map_err(at(&path))?;
        let manifest = serde_json::from_slice(&bytes).map_err(|error| Error::Corrupt {
            file: path,
            expected: "the manifest of a synthetic set".into(),
            got: error.to_string(),
            remedy: "delete the folder and run `cargo xtask data synth refuge` again",
        })?;
        Ok(Some(manifest))
    }

    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(MANIFEST);
        let text = serde_json::to_vec_pretty(self).map_err(|error| at(&path)(error.into()))?;
        write_whole(&path, &text)
    }

    /// Removes the set's files from `folder`, also those of a drawing that was interrupted.
    pub(super) fn remove_files(&self, folder: &Path) {
        let of_name = |name: Name| [name.image(), name.mask(Some(true)), name.mask(Some(false))];
        let named = self.counts().names().flat_map(of_name);
        for path in named.chain(self.files.keys().cloned()) {
            // What is not there need not be removed; what cannot be removed is found when the set is verified.
            drop(std::fs::remove_file(folder.join(path)));
        }
    }

    pub(super) fn origin(&self) -> Origin {
        Origin::Synthetic { seed: self.config.seed, generator: self.generator }
    }

    pub(super) fn counts(&self) -> Counts {
        self.config.counts()
    }

    /// (height, width) of the photographs of `part`.
    pub(super) fn size(&self, part: Part) -> [usize; 2] {
        self.config.size_of(part)
    }
}
