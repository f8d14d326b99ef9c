//! Drawn photographs in the official layout: any number of them, of any size, drawn from a seed without any download.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ExtendedColorType, ImageEncoder, ImageFormat, RgbImage};

use super::labels::Class;
use super::manifest::{HrfAvManifest, read_hrf_av_manifest};
use super::names::{Group, PhotographId, Role, SetShape};
use crate::error::{Error, Result, at};
use crate::files::write_whole;
use crate::fundus::{ARTERY, Anatomy, Fundus, VEIN};
use crate::manifest::write_manifest;
use crate::picture::mark_as_drawn;

/// How many photographs to draw, how large, and from what seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynthConfig {
    /// How many photographs, and how large.
    pub shape: SetShape,
    /// Every photograph is a function of it and the photograph's index.
    pub seed: u64,
}

/// Draws the photographs of `config` that `folder` does not hold yet. Eyes of group `g` have glaucoma, the others do not. Files
/// appear whole or not at all, so this can be interrupted and called again.
///
/// # Errors
/// If the shape is out of range, `folder` holds files of another set, or it cannot be written.
pub fn synthesize(folder: &Path, config: SynthConfig) -> Result<()> {
    let manifest = HrfAvManifest::of(config.shape, config.seed);
    for (key, value) in
        [("numbers", config.shape.numbers.into()), ("size", config.shape.size[0].min(config.shape.size[1]))]
    {
        if value == 0 {
            return Err(Error::OutOfRange { key, value, expected: "at least 1".into() });
        }
    }
    let present = read_hrf_av_manifest(folder)?;
    if present != Some(manifest) {
        clear(folder, present)?;
        for role in ROLES {
            let folder = folder.join(role.folder());
            std::fs::create_dir_all(&folder).map_err(at(&folder))?;
        }
        write_manifest(folder, &manifest)?;
    }
    for (id, index) in indices(config) {
        if ROLES.iter().any(|role| !folder.join(role.path(id)).is_file()) {
            let [width, height] = config.shape.size;
            let fundus = Fundus::draw(config.seed, index, [height, width]);
            for role in ROLES {
                let path = folder.join(role.path(id));
                let bytes = encode(&fundus, role).map_err(|error| at(&path)(std::io::Error::other(error)))?;
                write_whole(&path, &bytes)?;
            }
            tracing::info!(photograph = %id, "drawn");
        }
    }
    Ok(())
}

/// The files that are drawn. `manual1` is left out, since it would only repeat what the artery/vein labels say.
const ROLES: [Role; 3] = [Role::Image, Role::Field, Role::Labels];

/// The photographs and their indices in the endless sequence of the seed: each takes the next eye with the right diagnosis.
fn indices(config: SynthConfig) -> impl Iterator<Item = (PhotographId, u64)> {
    let mut next = [0u64; 2];
    config.shape.photographs().map(move |id| {
        let ill = id.group == Group::Glaucoma;
        let next = &mut next[usize::from(ill)];
        while Anatomy::draw(config.seed, *next).glaucoma != ill {
            *next += 1;
        }
        *next += 1;
        (id, *next - 1)
    })
}

fn encode(fundus: &Fundus, role: Role) -> image::ImageResult<Vec<u8>> {
    let [height, width] = fundus.size.map(|side| side as u32);
    let mut file = Cursor::new(Vec::new());
    match role {
        Role::Image => return Ok(mark_as_drawn(&fundus.jpeg()?)),
        Role::Field => {
            let pixels: Vec<u8> = fundus.truth.field_of_view.iter().flat_map(|&inside| [inside * 255; 3]).collect();
            let encoder = image::codecs::tiff::TiffEncoder::new(&mut file);
            encoder.write_image(&pixels, width, height, ExtendedColorType::Rgb8)?;
        }
        Role::Labels | Role::Vessels => {
            let colours = fundus.truth.vessels.iter().flat_map(|&vessels| class(vessels).colour());
            let pixels = RgbImage::from_raw(width, height, colours.collect()).unwrap_or_default();
            pixels.write_to(&mut file, ImageFormat::Png)?;
        }
    }
    Ok(file.into_inner())
}

fn class(vessels: u8) -> Class {
    match (vessels & ARTERY != 0, vessels & VEIN != 0) {
        (false, false) => Class::Background,
        (true, false) => Class::Artery,
        (false, true) => Class::Vein,
        (true, true) => Class::Crossing,
    }
}

/// Removes the files of the drawn set `present`; refuses a folder that holds other files under these names.
fn clear(folder: &Path, present: Option<HrfAvManifest>) -> Result<()> {
    let shape = present.map_or(SetShape::OFFICIAL, HrfAvManifest::shape);
    let files: Vec<PathBuf> = shape.photographs().flat_map(|id| ROLES.map(|role| folder.join(role.path(id)))).collect();
    for file in files.into_iter().filter(|file| file.exists()) {
        if present.is_none() {
            return Err(Error::Corrupt {
                file,
                expected: "an empty place, or a synthetic set to replace".into(),
                got: "a file of another set".into(),
                remedy: "choose another folder for synthetic photographs",
            });
        }
        std::fs::remove_file(&file).map_err(at(&file))?;
    }
    Ok(())
}
