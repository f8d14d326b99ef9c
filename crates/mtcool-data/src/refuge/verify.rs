//! Examines every file of a folder before any training.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::codes::rule;
use super::copies::copies;
use super::examine::vote;
use super::names::RefugePart;
use super::report::RefugeReport;
use super::scan::scan;
use crate::error::Result;
use crate::finding::Finding;
use crate::progress::PhotographProgress;

/// Lists what is missing, doubled, unreadable, wrongly coded, wrongly sized or mislabelled in `folder`, file by file. Every
/// picture is decoded; `progress` is told of each photograph.
///
/// # Errors
/// If there is no photograph of REFUGE2018 in `folder` at all, or a folder or a manifest cannot be read.
pub fn verify(folder: &Path, progress: &PhotographProgress<'_>) -> Result<RefugeReport> {
    let inventory = scan(folder)?;
    let votes: Vec<_> = inventory.found.par_iter().filter_map(|found| vote(found.mask.as_deref()?)).collect();
    let codes = rule(votes.iter());
    let done = AtomicUsize::new(0);
    let examined = inventory.found.par_iter().map(|found| {
        let examined = inventory.examine(found, codes.as_ref().ok().copied());
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, inventory.found.len());
        (examined.findings, examined.pixels)
    });
    let (findings, pixels): (Vec<Vec<Finding>>, Vec<Option<String>>) = examined.unzip();
    let mut findings: Vec<Finding> = findings.into_iter().flatten().collect();
    findings.extend(codes.err().and_then(|reason| inventory.without_rule(&reason)));
    findings.extend(copies(&inventory, &pixels, false));
    findings.extend(RefugePart::ALL.iter().filter_map(|part| {
        let path = folder.join(part.spreadsheet());
        inventory.changed_since_drawn(&path, &std::fs::read(&path).ok()?)
    }));
    Ok(inventory.report(findings))
}
