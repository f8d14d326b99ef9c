//! Decodes the files of one photograph, and tells what is unusual or wrong about them.

use std::path::Path;

use image::DynamicImage;
use image::metadata::Orientation;

use super::codes::{MaskCodes, Vote};
use super::facts::{Facts, Turn};
use super::inventory::{Found, Inventory};
use super::mask::{self, Mask};
use super::names::RefugePart;
use super::values::MaskValues;
use crate::files::sha256;
use crate::finding::{Finding, ProblemKind};
use crate::manifest::MANIFEST;
use crate::picture::{Picture, decode_upright, is_marked_as_drawn, pixels_sha256};

/// A photograph's decoded files, as far as they can be decoded.
pub(super) struct Examined {
    /// Picture, mask and facts, if both files can be decoded.
    pub(super) decoded: Option<(Picture, Mask, Facts)>,
    /// SHA-256 of the photograph's pixels.
    pub(super) pixels: Option<String>,
    pub(super) findings: Vec<Finding>,
}

/// What the mask in `file` says about the meaning of its values; `None` if it cannot be read.
pub(super) fn vote(file: &Path) -> Option<Vote> {
    let (picture, _) = decode_upright(&std::fs::read(file).ok()?).ok()?;
    Some(MaskValues::of(&picture).map_or_else(Vote::Unclear, |values| Vote::of(&values)))
}

impl Inventory {
    /// Decodes the files that there are of a photograph; without `codes`, its mask is only checked for being a picture.
    pub(super) fn examine(&self, found: &Found, codes: Option<MaskCodes>) -> Examined {
        let mut findings = Vec::new();
        let image = found.image.as_deref().and_then(|path| self.image(path, &mut findings));
        let pixels = image.as_ref().map(|(image, _)| pixels_sha256([image.height, image.width, 3], &image.bytes));
        let mask_picture = found.mask.as_deref().and_then(|path| self.picture(path, &mut findings));
        let turn = match (&image, &mask_picture) {
            (Some((image, orientation)), Some((mask, _))) => turn(image, *orientation, mask),
            _ => Turn::None,
        };
        let mut mask = None;
        if let (Some(path), Some((mut picture, _)), Some(codes)) = (&found.mask, mask_picture, codes) {
            if let (Turn::Both(_), Some((_, orientation))) = (turn, &image) {
                picture.apply_orientation(*orientation);
            }
            match mask::decode(&picture, codes) {
                Ok(decoded) => mask = Some(decoded),
                Err(reason) => findings.push(self.finding(path, ProblemKind::WronglyCoded, true, reason)),
            }
        }
        if let (Some((image, _)), Some(path), Some(mask)) = (&image, &found.mask, &mask)
            && mask.size != [image.height, image.width]
        {
            let detail =
                format!("expected {} like its photograph, got {}", by([image.height, image.width]), by(mask.size));
            findings.push(self.finding(path, ProblemKind::WronglySized, true, detail));
        }
        let mut decoded = None;
        match (image, mask, codes) {
            (Some((image, _)), Some(mask), Some(codes)) => {
                let facts = Facts {
                    size: [image.height, image.width],
                    pixels: pixels.clone().unwrap_or_default(),
                    is_grey: image.bytes.chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]),
                    turn,
                    codes,
                    has_cup: mask.has_cup,
                    specks: mask.specks.clone(),
                };
                findings.extend(self.notes_of(found, &facts));
                decoded = Some((image, mask, facts));
            }
            (Some((image, _)), ..) => {
                let size = [image.height, image.width];
                findings.extend(found.image.iter().filter_map(|path| self.unusual_size(path, size, found.name.part())));
            }
            _ => {}
        }
        Examined { decoded, pixels, findings }
    }

    /// What is unusual about a photograph and its mask, although they can be used.
    pub(super) fn notes_of(&self, found: &Found, facts: &Facts) -> Vec<Finding> {
        let (Some(image), Some(mask)) = (&found.image, &found.mask) else { return Vec::new() };
        let note = |path: &Path, problem, detail: String| self.finding(path, problem, false, detail);
        let mut notes: Vec<Finding> = self.unusual_size(image, facts.size, found.name.part()).into_iter().collect();
        if facts.is_grey {
            let detail = "a grey photograph; read as equal red, green and blue".to_owned();
            notes.push(note(image, ProblemKind::Unusual, detail));
        }
        let turned = |orientation: u8| format!("turned as its file says (EXIF orientation {orientation})");
        match facts.turn {
            Turn::None => {}
            Turn::Photograph(orientation) => {
                let detail = format!("{}; its mask has the size of the turned photograph", turned(orientation));
                notes.push(note(image, ProblemKind::Unusual, detail));
            }
            Turn::PhotographPerhaps(orientation) => {
                let detail = format!(
                    "{}; its mask fits both ways and is taken as drawn on the turned photograph: look at it",
                    turned(orientation)
                );
                notes.push(note(image, ProblemKind::Unusual, detail));
            }
            Turn::Both(orientation) => {
                let detail = format!(
                    "{}; its mask fits the photograph only as it is stored, and was turned with it",
                    turned(orientation)
                );
                notes.push(note(image, ProblemKind::Unusual, detail));
            }
        }
        if facts.codes != MaskCodes::OFFICIAL {
            let detail = format!("a copy coded {}; read as such", facts.codes);
            notes.push(note(mask, ProblemKind::WronglyCoded, detail));
        }
        if !facts.has_cup {
            let detail = "a disc without a cup; its Dice is 0 for any prediction of a cup".to_owned();
            notes.push(note(mask, ProblemKind::WronglyCoded, detail));
        }
        if !facts.specks.is_empty() {
            let sizes = facts.specks.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let more = if facts.specks.len() > 5 { ", ..." } else { "" };
            let detail = format!("parts of {sizes}{more} pixels apart from the disc are taken as background");
            notes.push(note(mask, ProblemKind::Unusual, detail));
        }
        notes
    }

    /// The finding that no rule explains the masks of the folder.
    pub(super) fn without_rule(&self, reason: &str) -> Option<Finding> {
        let first = self.found.iter().find_map(|found| found.mask.as_deref())?;
        Some(self.finding(first.parent().unwrap_or(first), ProblemKind::WronglyCoded, true, reason.to_owned()))
    }

    fn image(&self, path: &Path, findings: &mut Vec<Finding>) -> Option<(Picture, Orientation)> {
        let bytes = self.read(path, findings)?;
        if self.manifest.is_none() && is_marked_as_drawn(&bytes) {
            findings.push(Finding::undeclared(&self.folder, path, MANIFEST));
        }
        let (picture, orientation) = self.decoded(path, &bytes, findings)?;
        Some((Picture::rgb(picture), orientation))
    }

    fn picture(&self, path: &Path, findings: &mut Vec<Finding>) -> Option<(DynamicImage, Orientation)> {
        let bytes = self.read(path, findings)?;
        self.decoded(path, &bytes, findings)
    }

    fn decoded(&self, path: &Path, bytes: &[u8], findings: &mut Vec<Finding>) -> Option<(DynamicImage, Orientation)> {
        decode_upright(bytes).map_err(|reason| findings.push(self.unreadable(path, reason))).ok()
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
    pub(super) fn changed_since_drawn(&self, path: &Path, bytes: &[u8]) -> Option<Finding> {
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

/// How a photograph, which was turned by `orientation`, and the picture of its mask are to be brought together.
fn turn(image: &Picture, orientation: Orientation, mask: &DynamicImage) -> Turn {
    if orientation == Orientation::NoTransforms {
        return Turn::None;
    }
    let number = orientation.to_exif();
    let upright = [image.height, image.width];
    let stored = if number >= 5 { [image.width, image.height] } else { upright };
    let size = [mask.height() as usize, mask.width() as usize];
    match (size == upright, size == stored) {
        (true, true) => Turn::PhotographPerhaps(number),
        (false, true) => Turn::Both(number),
        _ => Turn::Photograph(number),
    }
}
