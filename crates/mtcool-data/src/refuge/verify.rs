//! Examines every file of a folder before any training.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::facts::Facts;
use super::inventory::{Found, Inventory};
use super::mask::{self, Coding, Mask};
use super::names::RefugePart;
use super::report::RefugeReport;
use super::scan::scan;
use crate::error::Result;
use crate::files::sha256;
use crate::finding::{Finding, ProblemKind};
use crate::manifest::MANIFEST;
use crate::picture::{Picture, decode, is_marked_as_drawn};
use crate::progress::PhotographProgress;

/// Lists what is missing, doubled, unreadable, wrongly coded, wrongly sized or mislabelled in `folder`, file by file. Every
/// picture is decoded; `progress` is told of each photograph.
///
/// # Errors
/// If there is no photograph of REFUGE2018 in `folder` at all, or a folder or a manifest cannot be read.
pub fn verify(folder: &Path, progress: &PhotographProgress<'_>) -> Result<RefugeReport> {
    let inventory = scan(folder)?;
    let done = AtomicUsize::new(0);
    let findings = inventory.found.par_iter().flat_map_iter(|found| {
        let findings = inventory.examine(found).findings;
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, inventory.found.len());
        findings
    });
    let mut findings: Vec<Finding> = findings.collect();
    findings.extend(RefugePart::ALL.iter().filter_map(|part| {
        let path = folder.join(part.spreadsheet());
        inventory.changed_since_drawn(&path, &std::fs::read(&path).ok()?)
    }));
    Ok(inventory.report(findings))
}

/// A photograph's decoded files, as far as they can be decoded.
pub(super) struct Examined {
    pub(super) image: Option<Picture>,
    pub(super) mask: Option<Mask>,
    pub(super) findings: Vec<Finding>,
}

impl Inventory {
    /// Decodes the files that there are of a photograph.
    pub(super) fn examine(&self, found: &Found) -> Examined {
        let mut findings = Vec::new();
        let image = found.image.as_deref().and_then(|path| self.image(path, &mut findings));
        let mask = found.mask.as_deref().and_then(|path| self.mask(path, &mut findings));
        if let (Some(path), Some(image)) = (&found.image, &image) {
            let size = [image.height, image.width];
            findings.extend(self.unusual_size(path, size, found.name.part()));
            if let (Some(path), Some(mask)) = (&found.mask, &mask)
                && mask.size != size
            {
                let detail = format!("expected {} like its photograph, got {}", by(size), by(mask.size));
                findings.push(self.finding(path, ProblemKind::WronglySized, true, detail));
            }
        }
        if let (Some(path), Some(mask)) = (&found.mask, &mask) {
            findings.extend(self.unusual_mask(path, mask.coding, mask.has_cup));
        }
        Examined { image, mask, findings }
    }

    /// The notes that [`Self::examine`] made on a photograph that was examined before and has no defect.
    pub(super) fn notes_of(&self, found: &Found, facts: Facts) -> Vec<Finding> {
        let image = found.image.iter().filter_map(|path| self.unusual_size(path, facts.size, found.name.part()));
        let mask = found.mask.iter().flat_map(|path| self.unusual_mask(path, facts.coding, facts.has_cup));
        image.chain(mask).collect()
    }

    fn image(&self, path: &Path, findings: &mut Vec<Finding>) -> Option<Picture> {
        let bytes = self.read(path, findings)?;
        if self.manifest.is_none() && is_marked_as_drawn(&bytes) {
            findings.push(Finding::undeclared(&self.folder, path, MANIFEST));
        }
        match decode(&bytes) {
            Ok(picture) => Some(Picture::rgb(picture)),
            Err(reason) => {
                findings.push(self.unreadable(path, reason));
                None
            }
        }
    }

    fn mask(&self, path: &Path, findings: &mut Vec<Finding>) -> Option<Mask> {
        let bytes = self.read(path, findings)?;
        let picture = match decode(&bytes) {
            Ok(picture) => picture,
            Err(reason) => {
                findings.push(self.unreadable(path, reason));
                return None;
            }
        };
        match mask::decode(&picture) {
            Ok(mask) => Some(mask),
            Err(reason) => {
                findings.push(self.finding(path, ProblemKind::WronglyCoded, true, reason));
                None
            }
        }
    }

    /// Notes on a mask that can be read although it is not as published.
    fn unusual_mask(&self, path: &Path, coding: Coding, has_cup: bool) -> Vec<Finding> {
        let mut details = Vec::new();
        if let Coding::Indexed { background } = coding {
            let cup = 2 - background;
            details.push(format!("a copy coded {background} background, 1 rim, {cup} cup; read as such"));
        }
        if !has_cup {
            details.push("a disc without a cup; its Dice is 0 for any prediction of a cup".to_owned());
        }
        let note = |detail| self.finding(path, ProblemKind::WronglyCoded, false, detail);
        details.into_iter().map(note).collect()
    }

    fn read(&self, path: &Path, findings: &mut Vec<Finding>) -> Option<Vec<u8>> {
        match std::fs::read(path) {
            Ok(bytes) => {
                findings.extend(self.changed_since_drawn(path, &bytes));
                Some(bytes)
            }
            Err(reason) => {
                findings.push(self.unreadable(path, reason.to_string()));
                None
            }
        }
    }

    fn unreadable(&self, path: &Path, reason: String) -> Finding {
        self.finding(path, ProblemKind::Unreadable, true, format!("{reason}; unpack the official archive again"))
    }

    /// A finding if a file of a synthetic set is not the one of its manifest.
    fn changed_since_drawn(&self, path: &Path, bytes: &[u8]) -> Option<Finding> {
        let inside = path.strip_prefix(&self.folder).unwrap_or(path);
        let expected = self.manifest.as_ref()?.files.get(inside);
        let detail = match expected {
            Some(expected) if *expected == sha256(bytes) => return None,
            Some(_) => "not as it was drawn; run `cargo xtask data synth refuge` again",
            None => "not in the manifest of this synthetic set; draw it again, or remove the file",
        };
        Some(self.finding(path, ProblemKind::Synthetic, true, detail.into()))
    }

    /// A finding if a photograph does not have the expected size. Copies in other sizes are read, but a crop at native
    /// resolution shows another part of the retina.
    fn unusual_size(&self, path: &Path, size: [usize; 2], part: RefugePart) -> Option<Finding> {
        let expected = self.manifest.as_ref().map_or(part.official_size(), |manifest| manifest.size(part));
        let detail = || format!("expected {}, got {}", by(expected), by(size));
        (size != expected).then(|| self.finding(path, ProblemKind::WronglySized, self.manifest.is_some(), detail()))
    }
}

/// A size as text, width first.
fn by([height, width]: [usize; 2]) -> String {
    format!("{width}x{height}")
}
