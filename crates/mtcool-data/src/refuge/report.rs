//! What the examination of a folder found, with one entry per problem.

use std::fmt;
use std::path::PathBuf;

use super::names::RefugePart;
use crate::error::Error;
use crate::finding::{Defects, Finding};
use crate::origin::Origin;

/// All that was found in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefugeReport {
    /// The folder.
    pub folder: PathBuf,
    /// Whether its photographs are real.
    pub origin: Origin,
    /// For each part of [`RefugePart::ALL`], the number of photographs that have a mask and a diagnosis, and the number of
    /// those with glaucoma.
    pub complete: [(usize, usize); 3],
    /// Every problem, sorted by path; equal notes on many files of a folder are merged into one.
    pub findings: Vec<Finding>,
}

/// From this number on, equal notes on files of one folder are merged into one.
const ALIKE: usize = 4;

/// `findings`, sorted, with equal notes on files of one folder merged into one.
pub(super) fn summarise(mut findings: Vec<Finding>) -> Vec<Finding> {
    let kind = |finding: &Finding| {
        let folder = finding.path.parent().map(PathBuf::from);
        (finding.is_defect, finding.problem, folder, finding.detail.clone())
    };
    findings.sort_by_cached_key(|finding| (kind(finding), finding.path.clone()));
    let mut summary = Vec::new();
    for alike in findings.chunk_by(|a, b| kind(a) == kind(b)) {
        match alike {
            [first, ..] if alike.len() >= ALIKE && !first.is_defect => {
                let example = first.path.file_name().unwrap_or_default().to_string_lossy();
                let detail = format!("{} ({} files, such as {example})", first.detail, alike.len());
                let path = first.path.parent().map_or_else(|| first.path.clone(), PathBuf::from);
                summary.push(Finding { path, detail, ..first.clone() });
            }
            _ => summary.extend_from_slice(alike),
        }
    }
    summary.sort();
    summary
}

impl RefugeReport {
    /// The findings that must be solved before training.
    pub fn defects(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_defect)
    }

    /// The error that refuses the folder.
    pub(super) fn into_error(self) -> Error {
        let remedy =
            format!("Run `cargo xtask data verify refuge --data {}` for the whole list", self.folder.display());
        Error::Defective(Box::new(Defects {
            dataset: "REFUGE2018",
            folder: self.folder,
            findings: self.findings,
            remedy,
        }))
    }
}

impl fmt::Display for RefugeReport {
    /// One line per finding, then the numbers of complete photographs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{:<6} {finding}", if finding.is_defect { "defect" } else { "note" })?;
        }
        let origin = match &self.origin {
            Origin::Real => String::new(),
            Origin::Synthetic { seed, .. } => format!(" (synthetic, seed {seed})"),
        };
        write!(f, "{}{origin}: ", self.folder.display())?;
        for (part, (count, glaucoma)) in RefugePart::ALL.iter().zip(self.complete) {
            write!(f, "{part:?} {count} photographs ({glaucoma} glaucoma), ")?;
        }
        let defects = self.defects().count();
        write!(f, "{defects} defects, {} notes", self.findings.len() - defects)
    }
}
