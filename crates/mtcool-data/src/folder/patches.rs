//! Patches for training, tiles for whole pictures, and which tasks see them.

use super::config::{Fit, FolderConfig};
use super::task::TaskKind;
use crate::problems::Problems;

/// The usual side of a tile in pixels, and what the usual side of larger ones is a multiple of.
const USUAL_TILE: usize = 1024;
const MULTIPLE: usize = 64;
/// The smallest and the largest side of a tile.
const SIDES: std::ops::RangeInclusive<usize> = 32..=1 << 14;
/// The largest number of patches per picture and epoch.
const MOST_PATCHES: usize = 1_000_000;

/// How a whole picture is covered by tiles, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiles {
    /// The side of a tile.
    pub side: usize,
    /// By how much neighbouring tiles overlap.
    pub overlap: usize,
    /// What is not used at each border of a tile beyond which the picture goes on.
    pub margin: usize,
}

impl FolderConfig {
    /// The tiles that cover whole pictures where training takes patches.
    pub fn tiles(&self) -> Tiles {
        let longer = self.size[0].max(self.size[1]).max(USUAL_TILE);
        let side = self.tile.unwrap_or_else(|| longer.checked_next_multiple_of(MULTIPLE).unwrap_or(longer));
        let overlap = self.overlap.unwrap_or(side / 8);
        Tiles { side, overlap, margin: self.margin.unwrap_or(overlap / 4) }
    }

    /// How the pictures of a task get the size of the network's input. A label of a whole picture is not one of its parts: the
    /// disease may lie in another patch. So where other tasks see patches, tasks with one answer per picture see the whole
    /// picture, scaled to the size of a patch.
    pub fn fit_of(&self, kind: &TaskKind) -> Fit {
        match (self.fit, kind) {
            (Fit::Patches, TaskKind::Segmentation { .. }) => Fit::Patches,
            (Fit::Patches, _) => Fit::Resize,
            (fit, _) => fit,
        }
    }

    /// The settings as they are for tasks whose pictures get their size by `fit`.
    #[must_use]
    pub fn with_fit(&self, fit: Fit) -> Self {
        let scale = if fit == self.fit { self.scale } else { 1.0 };
        Self { fit, scale, ..self.clone() }
    }

    /// Adds what is wrong with the settings of patches and tiles.
    pub(super) fn check_patches(&self, problems: &mut Problems) {
        let given = [
            ("patches_per_image", self.patches_per_image != 1),
            ("tile", self.tile.is_some()),
            ("overlap", self.overlap.is_some()),
            ("margin", self.margin.is_some()),
        ];
        if self.fit != Fit::Patches {
            for (key, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
                let what = format!("`{key}` is given, but `fit` is not \"patches\"");
                problems.add(what, format!("leave `{key}` out, or take `fit` = \"patches\""));
            }
            return;
        }
        let is_dense = |kind: &TaskKind| matches!(kind, TaskKind::Segmentation { .. });
        if !self.tasks.is_empty() && !self.tasks.iter().any(|task| is_dense(&task.kind)) {
            problems.add(
                "`fit` = \"patches\", but no task has masks, and tasks with one answer per picture see whole pictures",
                "take `fit` = \"resize\" or \"crop\"",
            );
        }
        let Tiles { side, overlap, margin } = self.tiles();
        if !(1..=MOST_PATCHES).contains(&self.patches_per_image) {
            let what = format!("`patches_per_image` is {}", self.patches_per_image);
            problems.add(what, format!("give a number from 1 to {MOST_PATCHES}"));
        }
        if !SIDES.contains(&side) {
            let what = format!("the side of a tile, `tile`, is {side}");
            problems.add(what, format!("give a number from {} to {}, a multiple of 32", SIDES.start(), SIDES.end()));
        } else if overlap > side / 2 {
            let what = format!("`overlap` is {overlap}, and the side of a tile, `tile`, is {side}");
            problems.add(what, "let tiles overlap by at most half of their side");
        } else if margin > 0 && 2 * margin >= overlap {
            let what = format!("`margin` is {margin}, and `overlap` is {overlap}");
            problems.add(what, "give a margin below half of the overlap, so that the tiles leave no gap");
        }
    }
}
