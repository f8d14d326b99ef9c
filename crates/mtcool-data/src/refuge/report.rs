//! What a look at a folder found: one entry a problem.

use std::fmt;
use std::path::PathBuf;

use super::names::Part;
use crate::mnist::Origin;

/// What kind of problem a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// It is not there.
    Missing,
    /// It is there more than once.
    Doubled,
    /// It cannot be decoded.
    Unreadable,
    /// A mask's values are not the official ones.
    WronglyCoded,
    /// Photograph and mask differ in size, or the size is not the official one.
    WronglySized,
    /// Its diagnosis is missing or contradicts itself.
    Mislabelled,
    /// A synthetic file that is not marked as such, or is not as it was drawn.
    Synthetic,
    /// It belongs to no photograph of the set.
    Foreign,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Problem::Missing => "missing",
            Problem::Doubled => "doubled",
            Problem::Unreadable => "unreadable",
            Problem::WronglyCoded => "wrongly coded",
            Problem::WronglySized => "wrongly sized",
            Problem::Mislabelled => "mislabelled",
            Problem::Synthetic => "synthetic",
            Problem::Foreign => "foreign",
        })
    }
}

/// One problem of one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Within the folder; for a missing file, where it officially belongs.
    pub path: PathBuf,
    /// What kind of problem it is.
    pub problem: Problem,
    /// Whether nothing can be trained before it is solved; otherwise it is only worth knowing.
    pub is_defect: bool,
    /// What was expected, what was found, what to do.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.is_defect { "defect" } else { "note" };
        write!(f, "{severity:<6} {:<13} {}: {}", self.problem, self.path.display(), self.detail)
    }
}

/// All that was found in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The folder.
    pub folder: PathBuf,
    /// Whether its photographs are real.
    pub origin: Origin,
    /// Photographs that have a mask and a diagnosis, and those of them with glaucoma, of each part of [`Part::ALL`].
    pub complete: [(usize, usize); 3],
    /// Every problem, sorted by path; notes that say the same of many files of a folder are one.
    pub findings: Vec<Finding>,
}

/// So many notes of a folder that say the same become one.
const ALIKE: usize = 4;

/// `findings`, sorted; where a folder's notes repeat each other, one speaks for all.
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

/// Defects that an error message shows; the rest are counted.
const SHOWN: usize = 10;

impl Report {
    /// The findings that must be solved before training.
    pub fn defects(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_defect)
    }

    /// The first few defects and how many there are.
    pub(crate) fn excerpt(&self) -> String {
        let count = self.defects().count();
        let lines: Vec<String> = self.defects().take(SHOWN).map(|finding| format!("  {finding}")).collect();
        let rest = if count > SHOWN { format!("\n  and {} more", count - SHOWN) } else { String::new() };
        format!("{count} defects\n{}{rest}", lines.join("\n"))
    }
}

impl fmt::Display for Report {
    /// One line a finding, then what is complete.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let origin = match &self.origin {
            Origin::Real => String::new(),
            Origin::Synthetic { seed, .. } => format!(" (synthetic, seed {seed})"),
        };
        write!(f, "{}{origin}: ", self.folder.display())?;
        for (part, (count, glaucoma)) in Part::ALL.iter().zip(self.complete) {
            write!(f, "{part:?} {count} photographs ({glaucoma} glaucoma), ")?;
        }
        let defects = self.defects().count();
        write!(f, "{defects} defects, {} notes", self.findings.len() - defects)
    }
}
