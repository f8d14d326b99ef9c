//! The same photograph under several names.

use std::collections::BTreeMap;

use super::inventory::{Found, Inventory};
use super::names::RefugePart;
use crate::finding::{Finding, ProblemKind};

/// A finding for every photograph of `inventory` that is the same as an earlier one; `pixels` are the checksums of their pixels.
///
/// A copy is only a note if it is `allowed`, or if both lie in the test part and have the same diagnosis: the photographs to
/// train and to select on are drawn from the two other parts together, so that a copy may be on both sides.
pub(super) fn copies(inventory: &Inventory, pixels: &[Option<String>], allowed: bool) -> Vec<Finding> {
    let mut first: BTreeMap<&str, &Found> = BTreeMap::new();
    let mut findings = Vec::new();
    for (found, pixels) in inventory.found.iter().zip(pixels) {
        let (Some(image), Some(pixels)) = (&found.image, pixels) else { continue };
        let Some(other) = first.get(pixels.as_str()) else {
            first.insert(pixels, found);
            continue;
        };
        let says = |found: &Found| match found.glaucoma {
            Some(true) => "glaucoma",
            Some(false) => "no glaucoma",
            None => "no diagnosis",
        };
        let is_harmless = [found, *other].iter().all(|found| found.name.part() == RefugePart::Test)
            && found.glaucoma == other.glaucoma;
        let remedy = if is_harmless || allowed {
            "both are used"
        } else {
            "remove one of them, or allow copies with `--set data.settings.on_copies=allow`"
        };
        let detail = format!(
            "{} ({:?}, {}) is the same photograph as {} ({:?}, {}); {remedy}",
            found.name.text(),
            found.name.part(),
            says(found),
            other.name.text(),
            other.name.part(),
            says(other)
        );
        findings.push(inventory.finding(image, ProblemKind::Doubled, !is_harmless && !allowed, detail));
    }
    findings
}
