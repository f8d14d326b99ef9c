//! The same photograph under several names.

use std::collections::BTreeMap;
use std::path::Path;

use super::layout::Layout;
use super::names::PhotographId;
use crate::finding::{Finding, ProblemKind};

/// A problem for every photograph that is the same as an earlier one. Each is given by its name, its file, and the checksum of its
/// pixels. The parts of a split are drawn, so that copies may lie in any two of them.
pub(super) fn copies<'a>(
    layout: &Layout,
    photographs: impl Iterator<Item = (PhotographId, &'a Path, &'a [u8])>,
) -> Vec<Finding> {
    let mut first: BTreeMap<&[u8], PhotographId> = BTreeMap::new();
    let mut found = Vec::new();
    for (id, file, pixels) in photographs {
        let Some(&other) = first.get(pixels) else {
            first.insert(pixels, id);
            continue;
        };
        let detail = format!(
            "{id} is the same photograph as {other}; replace one of them, or allow copies with `--set \
             data.settings.on_copies=allow`"
        );
        found.push(layout.defect(file, ProblemKind::Doubled, detail));
    }
    found
}
