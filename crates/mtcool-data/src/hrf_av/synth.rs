//! Drawn photographs in the official layout: any number of them, at any size, from a seed, with nothing downloaded.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ExtendedColorType, ImageEncoder, ImageFormat, RgbImage};
use serde::{Deserialize, Serialize};

use super::labels::Class;
use super::layout::{Group, PhotographId, Role, SetShape};
use crate::error::{Error, Result, at};
use crate::files::write_whole;
use crate::fundus::{ARTERY, Anatomy, Fundus, GENERATOR, VEIN};
use crate::mnist::Origin;
use crate::picture::mark_as_drawn;

/// Present in a folder of drawn photographs only.
pub(super) const MANIFEST: &str = "synthetic.json";

/// Which photographs to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynthConfig {
    /// How many, and how large.
    pub shape: SetShape,
    /// Every photograph follows from it.
    pub seed: u64,
}

/// Stands beside drawn photographs.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    generator: u32,
    seed: u64,
    numbers: u8,
    size: [usize; 2],
}

impl Manifest {
    fn of(config: SynthConfig) -> Self {
        let SetShape { numbers, size } = config.shape;
        Self { generator: GENERATOR, seed: config.seed, numbers, size }
    }

    fn shape(self) -> SetShape {
        SetShape { numbers: self.numbers, size: self.size }
    }
}

/// Whether `folder` holds drawn photographs, and what it should hold.
///
/// # Errors
/// If the manifest of a drawn set cannot be read.
pub fn origin(folder: &Path) -> Result<(Origin, SetShape)> {
    Ok(match read_manifest(folder)? {
        None => (Origin::Real, SetShape::OFFICIAL),
        Some(manifest) => (Origin::Synthetic { seed: manifest.seed, generator: manifest.generator }, manifest.shape()),
    })
}

/// Draws the photographs of `config` that `folder` does not hold yet. Those of group `g` have glaucoma, the others do not. Files
/// appear whole or not at all, so whoever interrupts this calls it again.
///
/// # Errors
/// If the shape is out of range, `folder` holds files of another set, or it cannot be written.
pub fn synthesize(folder: &Path, config: SynthConfig) -> Result<()> {
    let manifest = Manifest::of(config);
    for (key, value) in
        [("numbers", config.shape.numbers.into()), ("size", config.shape.size[0].min(config.shape.size[1]))]
    {
        if value == 0 {
            return Err(Error::OutOfRange { key, value, expected: "at least 1".into() });
        }
    }
    let present = read_manifest(folder)?;
    if present != Some(manifest) {
        clear(folder, present)?;
        for role in ROLES {
            let folder = folder.join(role.folder());
            std::fs::create_dir_all(&folder).map_err(at(&folder))?;
        }
        let path = folder.join(MANIFEST);
        let text = serde_json::to_vec_pretty(&manifest).map_err(|error| at(&path)(error.into()))?;
        write_whole(&path, &text)?;
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

/// What is drawn. `manual1` would say nothing that the artery/vein labels do not.
const ROLES: [Role; 3] = [Role::Image, Role::Field, Role::Labels];

/// The photographs and their numbers in the generator's endless sequence: each takes the next one of the right diagnosis.
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

/// Makes room: removes the files of the drawn set `present`, and refuses a folder where somebody else's lie.
fn clear(folder: &Path, present: Option<Manifest>) -> Result<()> {
    let shape = present.map_or(SetShape::OFFICIAL, Manifest::shape);
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

fn read_manifest(folder: &Path) -> Result<Option<Manifest>> {
    let path = folder.join(MANIFEST);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = std::fs::read(&path).map_err(at(&path))?;
    serde_json::from_slice(&bytes).map(Some).map_err(|error| Error::Corrupt {
        file: path,
        expected: "the manifest of a synthetic set".into(),
        got: error.to_string(),
        remedy: "delete the folder and run `cargo xtask data synth hrf-av` again",
    })
}
