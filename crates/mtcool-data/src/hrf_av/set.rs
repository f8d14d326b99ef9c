//! The photographs of a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::config::{HrfAvConfig, OnDamage};
use super::copies::copies;
use super::layout::{Layout, mixed_vessels, turned};
use super::names::PhotographId;
use super::photograph::Photograph;
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::finding::Finding;

/// The photographs of a folder, decoded once and kept in a cache.
pub struct HrfAv {
    photographs: Vec<Arc<Photograph>>,
    left_out: Vec<Finding>,
    copies: Vec<Finding>,
}

impl HrfAv {
    /// Loads all photographs in `folder`: from `cache` if it holds them, or else from their files.
    ///
    /// # Errors
    /// [`Error::Defective`] with every problem if files are missing or damaged and `config` does not leave them out, or if no
    /// photograph is left; [`Error::OutOfRange`] if the scale does not fit; [`Error::Io`] if the cache cannot be written.
    pub fn open(folder: &Path, cache: &Cache, config: HrfAvConfig) -> Result<Self> {
        let layout = Layout::scan(folder)?;
        let ids: Vec<PhotographId> = config.shape.photographs().collect();
        let loaded: Vec<_> = ids.par_iter().map(|&id| Photograph::load(&layout, cache, config, id)).collect();
        let (mut photographs, mut left_out) = (Vec::new(), Vec::new());
        for loaded in loaded {
            match loaded {
                Ok(photograph) => photographs.push(Arc::new(photograph)),
                Err(Error::Defective(defects)) => left_out.extend(defects.findings),
                Err(error) => return Err(error),
            }
        }
        if !left_out.is_empty() && photographs.is_empty() {
            return Err(layout.defective(left_out));
        }
        if !left_out.is_empty() && config.on_damage == OnDamage::Refuse {
            return Err(layout.partly_defective(left_out));
        }
        let mut same = copies(
            &layout,
            photographs.iter().map(|photograph| (photograph.id, photograph.file.as_path(), photograph.pixels_sha256())),
        );
        if !same.is_empty() && !config.allows_copies {
            return Err(layout.defective(same));
        }
        same.iter_mut().for_each(|finding| finding.is_defect = false);
        for problem in &left_out {
            tracing::warn!(%problem, "photograph left out");
        }
        Ok(Self { photographs, left_out, copies: same })
    }

    /// The photographs of `ids` that were loaded, in the order of `ids`.
    pub fn photographs(&self, ids: &[PhotographId]) -> Vec<Arc<Photograph>> {
        let find = |id: &PhotographId| self.photographs.iter().find(|photograph| photograph.id == *id).cloned();
        ids.iter().filter_map(find).collect()
    }

    /// All photographs that were loaded, in order.
    pub fn all(&self) -> &[Arc<Photograph>] {
        &self.photographs
    }

    /// Why photographs were left out.
    pub fn left_out(&self) -> &[Finding] {
        &self.left_out
    }

    /// Photographs that are the same as others, if copies are allowed.
    pub fn copies(&self) -> &[Finding] {
        &self.copies
    }

    /// Files of intact photographs whose content is not that of the published ones; empty for sets of another shape.
    pub fn unpublished(&self) -> Vec<&Path> {
        let all = self.photographs.iter().flat_map(|photograph| &photograph.unpublished);
        all.map(PathBuf::as_path).collect()
    }

    /// Notes on intact photographs that a user should know.
    pub fn notes(&self) -> Vec<String> {
        let with_vessels = self.photographs.iter().filter(|photograph| photograph.has_vessels).count();
        let ids: Vec<PhotographId> = self
            .photographs
            .iter()
            .filter(|photograph| photograph.is_turned())
            .map(|photograph| photograph.id)
            .collect();
        mixed_vessels(with_vessels, self.photographs.len()).into_iter().chain(turned(&ids)).collect()
    }
}
