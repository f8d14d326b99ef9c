//! Decodes the files of a photograph to its pixels and marks, and lists every problem of every file.

use std::path::Path;

use image::metadata::Orientation;

use super::agreement::Agreement;
use super::labels::{Labels, marks};
use super::layout::{Layout, PhotographPaths};
use crate::cache::{Array, CacheKey};
use crate::error::{Error, Result};
use crate::finding::{Finding, ProblemKind};
use crate::picture::{Picture, is_marked_as_drawn, orientation, pixels_sha256};

/// Names what makes the cache entries and in which version; it changes when files are decoded in another way.
const KIND: &str = "hrf-av 3";

/// A photograph at full size.
pub(super) struct Decoded {
    pub(super) labels: Labels,
    /// Whether the photograph's file asks to be turned, so that its labels may have been drawn on the unturned one.
    pub(super) is_turned: bool,
    picture: Picture,
    field: Vec<bool>,
    vessels: Option<Vec<bool>>,
}

impl Decoded {
    /// Reads all files, each of which should have `size` (width, height), or lists every problem.
    pub(super) fn read(layout: &Layout, files: &PhotographPaths, size: [usize; 2]) -> Result<Self, Vec<Finding>> {
        let mut problems = Vec::new();
        // A file that cannot be read is told below.
        let bytes = std::fs::read(&files.image).unwrap_or_default();
        if !layout.is_drawn && is_marked_as_drawn(&bytes) {
            problems.push(layout.undeclared(&files.image));
        }
        let is_turned = orientation(&bytes) != Orientation::NoTransforms;
        drop(bytes);
        let mut checked = |file: &Path, picture: Result<Picture>| match sized(picture, size) {
            Ok(picture) => Some(picture),
            Err((problem, detail)) => {
                problems.push(layout.defect(file, problem, detail));
                None
            }
        };
        let picture = checked(&files.image, Picture::read_rgb(&files.image));
        let field = checked(&files.field, Picture::read_grey(&files.field));
        let labels = checked(&files.labels, Picture::read_rgb(&files.labels));
        let vessels = files.vessels.as_ref().map(|file| checked(file, Picture::read_grey(file)));
        let labels = labels.as_ref().map(Labels::decode);
        let [field, vessels] = [field, vessels.flatten()].map(|picture| picture.map(|picture| bright(&picture)));
        let mut miscoded = |file: &Path, expected: &str, got: String| {
            let detail = format!("expected {expected}, got {got}");
            problems.push(layout.defect(file, ProblemKind::WronglyCoded, detail));
        };
        if let Some(labels) = &labels {
            if let (true, Some((x, y, [r, g, b]))) = (labels.is_miscoloured(), labels.foreign.1) {
                let got =
                    format!("{} pixels far from all of them, the first ({r}, {g}, {b}) at {x}, {y}", labels.foreign.0);
                miscoded(&files.labels, "red arteries, blue veins and green crossings on black", got);
            } else if labels.classes.iter().all(|&class| class == 0) {
                miscoded(&files.labels, "red arteries, blue veins and green crossings on black", "black alone".into());
            }
        }
        let all_dark = |pixels: &Option<Vec<bool>>| pixels.as_ref().is_some_and(|pixels| !pixels.contains(&true));
        if all_dark(&field) {
            miscoded(&files.field, "a white field of view on black", "black alone".into());
        }
        if let (true, Some(file)) = (all_dark(&vessels), &files.vessels) {
            miscoded(file, "white vessels on black", "black alone".into());
        } else if let (Some(labels), Some(vessels), Some(file)) = (&labels, &vessels, &files.vessels)
            && let Some(got) = Agreement::of(vessels, labels).contradiction()
        {
            miscoded(file, "white vessels on black, those of `HRF_AV_GT`", got);
        }
        match (picture, field, labels) {
            (Some(picture), Some(field), Some(labels)) if problems.is_empty() => {
                Ok(Self { labels, is_turned, picture, field, vessels })
            }
            _ => Err(problems),
        }
    }

    /// SHA-256 of the photograph's pixels.
    pub(super) fn pixels_sha256(&self) -> String {
        pixels_sha256([self.picture.height, self.picture.width, 3], &self.picture.bytes)
    }

    /// SHA-256 of the photograph's pixels with `*` after it if the photograph was turned, then the photograph `[H, W, 3]` and its
    /// marks `[H, W]`, with sides that are `scale` times shorter.
    pub(super) fn arrays(self, scale: usize) -> Result<Vec<Array>> {
        let marks = marks(&self.labels, &self.field, self.vessels.as_deref(), scale)?;
        let identity = self.pixels_sha256() + if self.is_turned { "*" } else { "" };
        let Picture { height, width, bytes, .. } = self.picture.reduced(scale)?;
        let identity = Array { shape: vec![identity.len()], bytes: identity.into_bytes() };
        Ok(vec![
            identity,
            Array { shape: vec![height, width, 3], bytes },
            Array { shape: vec![height, width], bytes: marks },
        ])
    }
}

/// The cache key of [`Decoded::arrays`], or a finding for every file that cannot be read.
pub(super) fn key(
    layout: &Layout,
    files: &PhotographPaths,
    size: [usize; 2],
    scale: usize,
) -> Result<CacheKey, Vec<Finding>> {
    let key = CacheKey::new(KIND).setting("scale", scale).setting("size", format!("{size:?}"));
    // Drawn photographs are accepted only if the set says that it was drawn.
    let mut key = key.setting("drawn", layout.is_drawn);
    let mut problems = Vec::new();
    let needed = [("image", &files.image), ("field", &files.field), ("labels", &files.labels)];
    for (role, file) in needed.into_iter().chain(files.vessels.as_ref().map(|vessels| ("vessels", vessels))) {
        match key.clone().file(role, file) {
            Ok(longer) => key = longer,
            Err(error) => problems.push(layout.defect(file, ProblemKind::Unreadable, reason(error))),
        }
    }
    if problems.is_empty() { Ok(key) } else { Err(problems) }
}

/// The picture if it has the size `expected` (width, height), or else what is wrong with it.
fn sized(picture: Result<Picture>, expected: [usize; 2]) -> Result<Picture, (ProblemKind, String)> {
    let by = |[width, height]: [usize; 2]| format!("{width}x{height}");
    match picture {
        Ok(picture) if picture.size() == expected => Ok(picture),
        Ok(picture) => {
            Err((ProblemKind::WronglySized, format!("expected {}, got {}", by(expected), by(picture.size()))))
        }
        Err(error) => Err((ProblemKind::Unreadable, reason(error))),
    }
}

/// Why a file cannot be read, without the file's name, which is part of the finding.
fn reason(error: Error) -> String {
    match error {
        Error::Corrupt { got, .. } => got,
        Error::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

fn bright(picture: &Picture) -> Vec<bool> {
    picture.bytes.iter().map(|&byte| byte >= 128).collect()
}
