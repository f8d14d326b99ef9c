//! What a folder holds: which file is which photograph's, and what is wrong with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::manifest::RefugeManifest;
use super::names::{Name, RefugePart};
use super::report::{RefugeReport, summarise};
use crate::finding::{Finding, ProblemKind};
use crate::origin::Origin;

/// The files that were found of one photograph, and its diagnosis.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) name: Name,
    pub(super) glaucoma: Option<bool>,
    pub(super) image: Option<PathBuf>,
    pub(super) mask: Option<PathBuf>,
}

/// What a folder holds, judged by names alone: no picture has been decoded.
#[derive(Debug)]
pub(super) struct Inventory {
    pub(super) folder: PathBuf,
    pub(super) manifest: Option<RefugeManifest>,
    pub(super) found: Vec<Found>,
    pub(super) findings: Vec<Finding>,
}

/// All files of a folder that may belong to the set, by kind.
#[derive(Debug, Default)]
pub(super) struct FoundFiles {
    pub(super) images: BTreeMap<Name, Vec<PathBuf>>,
    pub(super) masks: BTreeMap<Name, Vec<PathBuf>>,
    pub(super) spreadsheets: Vec<PathBuf>,
    /// Pictures whose names are not those of the set.
    pub(super) unknown: Vec<PathBuf>,
}

impl Inventory {
    /// Whether the photographs are real: a folder without a manifest is.
    pub(super) fn origin(&self) -> Origin {
        self.manifest.as_ref().map_or(Origin::Real, RefugeManifest::origin)
    }

    /// A report of the findings so far and of `more`.
    pub(super) fn report(&self, more: Vec<Finding>) -> RefugeReport {
        let findings = summarise([self.findings.clone(), more].concat());
        let complete = RefugePart::ALL.map(|part| {
            let complete = self.found.iter().filter(|found| found.image.is_some() && found.mask.is_some());
            let known = complete.filter(|found| found.name.part() == part).filter_map(|found| found.glaucoma);
            known.fold((0, 0), |(count, glaucoma), this| (count + 1, glaucoma + usize::from(this)))
        });
        RefugeReport { folder: self.folder.clone(), origin: self.origin(), complete, findings }
    }

    /// A finding about `path`.
    pub(super) fn finding(&self, path: &Path, problem: ProblemKind, is_defect: bool, detail: String) -> Finding {
        let finding = if is_defect { Finding::defect } else { Finding::note };
        finding(&self.folder, path, problem, detail)
    }
}
