//! Examines every file before any training, with one entry per problem.

use std::fmt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::copies::copies;
use super::decode::Decoded;
use super::layout::{Layout, PhotographPaths, mixed_vessels, turned};
use super::names::{PhotographId, SetShape};
use crate::error::Result;
use crate::finding::Finding;

/// What a folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HrfAvReport {
    /// The number of photographs without a problem.
    pub intact: usize,
    /// The number of photographs that there should be.
    pub expected: usize,
    /// The number of intact photographs that have a file in `manual1`.
    pub with_vessels: usize,
    /// Every problem, photograph by photograph.
    pub problems: Vec<Finding>,
    /// Files of labels in which some pixels have no pure colour and take the nearest one, with the number of these pixels.
    pub snapped: Vec<(PathBuf, usize)>,
    /// Files of intact photographs whose content is not that of the published ones; empty for sets of another shape.
    pub unpublished: Vec<PathBuf>,
    /// Photographs that were turned because their files say so.
    pub turned: Vec<PhotographId>,
}

impl fmt::Display for HrfAvReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} photographs intact, {} with `manual1`", self.intact, self.expected, self.with_vessels)?;
        if let Some(mixed) = mixed_vessels(self.with_vessels, self.intact) {
            write!(f, "\n  note: {mixed}")?;
        }
        for (file, count) in &self.snapped {
            write!(f, "\n  note: `{}`: {count} pixels snapped to the nearest pure colour", file.display())?;
        }
        for file in &self.unpublished {
            write!(f, "\n  note: `{}`: intact, but not the published file", file.display())?;
        }
        if let Some(turned) = turned(&self.turned) {
            write!(f, "\n  note: {turned}")?;
        }
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// What was found about one intact photograph.
struct SeenPhotograph {
    id: PhotographId,
    files: PhotographPaths,
    snapped: usize,
    is_turned: bool,
    pixels: String,
    unpublished: Vec<PathBuf>,
}

/// Decodes every file below `folder`, which should hold a set of `shape`, and lists what is wrong.
///
/// # Errors
/// If the folder is missing or cannot be listed; problems with single files are in the report.
pub fn verify(folder: &Path, shape: SetShape) -> Result<HrfAvReport> {
    let layout = Layout::scan(folder)?;
    let ids: Vec<PhotographId> = shape.photographs().collect();
    let seen: Vec<Result<SeenPhotograph, Vec<Finding>>> = ids.par_iter().map(|&id| see(&layout, id, shape)).collect();
    let mut report = HrfAvReport {
        intact: 0,
        expected: ids.len(),
        with_vessels: 0,
        problems: Vec::new(),
        snapped: Vec::new(),
        unpublished: Vec::new(),
        turned: Vec::new(),
    };
    let mut known = Vec::new();
    for seen in seen {
        match seen {
            Err(problems) => report.problems.extend(problems),
            Ok(seen) => {
                report.intact += 1;
                report.with_vessels += usize::from(seen.files.vessels.is_some());
                if seen.snapped > 0 {
                    report.snapped.push((seen.files.labels, seen.snapped));
                }
                report.unpublished.extend(seen.unpublished);
                report.turned.extend(seen.is_turned.then_some(seen.id));
                known.push((seen.id, seen.files.image, seen.pixels));
            }
        }
    }
    report.problems.extend(copies(&layout, known.iter().map(|(id, file, pixels)| (*id, &**file, pixels.as_bytes()))));
    Ok(report)
}

fn see(layout: &Layout, id: PhotographId, shape: SetShape) -> Result<SeenPhotograph, Vec<Finding>> {
    let files = layout.files(id)?;
    let decoded = Decoded::read(layout, &files, shape.size)?;
    let (snapped, is_turned, pixels) = (decoded.labels.snapped, decoded.is_turned, decoded.pixels_sha256());
    let unpublished = if shape == SetShape::OFFICIAL { files.unpublished(id) } else { Vec::new() };
    Ok(SeenPhotograph { id, files, snapped, is_turned, pixels, unpublished })
}
