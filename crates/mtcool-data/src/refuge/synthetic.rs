//! Synthetic fundus photographs in REFUGE's official folders, names, codings and spreadsheets.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use image::ExtendedColorType;
use image::codecs::bmp::BmpEncoder;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Progress;
use super::manifest::{MANIFEST, Manifest};
use super::names::{Counts, Name, Part};
use super::spreadsheet::{Cell, workbook};
use crate::error::{Error, Result, at};
use crate::files::{sha256, sha256_of, write_whole};
use crate::fundus::{Anatomy, BACKGROUND, Fundus, GENERATOR, RIM};
use crate::mnist::Origin;
use crate::picture::mark_as_drawn;

/// How many photographs to draw, how large, and from what seed. One in ten shows glaucoma, and at least one in each part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefugeSynthesis {
    /// Of the training part, 2 to 9999.
    pub train: u32,
    /// Of the validation part, 2 to 9999.
    pub validation: u32,
    /// Of the test part, 2 to 9999.
    pub test: u32,
    /// How large they are.
    pub size: DrawnSize,
    /// Every photograph follows from it.
    pub seed: u64,
}

/// How large drawn photographs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrawnSize {
    /// Each part's official size, both sides so many times shorter and cut to whole pixels: 1 to 17.
    Shrunk(usize),
    /// (height, width) of all photographs, in no relation to the official ones.
    Fixed([usize; 2]),
}

/// As many as REFUGE2018 has, in its sizes.
impl Default for RefugeSynthesis {
    fn default() -> Self {
        Self { train: 400, validation: 400, test: 400, size: DrawnSize::Shrunk(1), seed: 0 }
    }
}

/// Smallest side of a photograph: below it a disc has no room for a rim.
const SMALLEST: usize = 96;
/// So many times shorter, the smaller official photographs, of 1634 pixels, are still large enough.
const MOST_SHRUNK: usize = 1634 / SMALLEST;
/// Photographs of a part come from their own stretch of the endless sequence of a seed.
const STRETCH: u64 = 1 << 32;

impl RefugeSynthesis {
    /// What a folder drawn by these settings is.
    pub fn origin(&self) -> Origin {
        Origin::Synthetic { seed: self.seed, generator: GENERATOR }
    }

    /// Whether `folder` holds a complete set that was drawn by exactly these settings and drawing rules. Its files are not
    /// read; [`super::verify`] does that.
    ///
    /// # Errors
    /// If the folder's manifest cannot be read.
    pub fn is_drawn(&self, folder: &Path) -> Result<bool> {
        let manifest = Manifest::read(folder)?;
        let is_current = |found: &Manifest| found.generator == GENERATOR && found.config == *self;
        Ok(manifest.is_some_and(|found| {
            is_current(&found) && !found.files.is_empty() && found.files.keys().all(|path| folder.join(path).is_file())
        }))
    }

    /// Draws the set into `folder`: photographs, masks, spreadsheets and a manifest that says they are synthetic. What an
    /// interrupted drawing by the same settings left is kept.
    ///
    /// # Errors
    /// If a setting is out of range, or `folder` holds another data set, drawn or not, or cannot be written.
    pub fn draw(&self, folder: &Path, progress: &Progress<'_>) -> Result<()> {
        self.check()?;
        let found = Manifest::read(folder)?;
        refuse_foreign(folder, found.is_some())?;
        let goes_on = match found {
            None => false,
            Some(found) if found.generator == GENERATOR && found.config == *self => found.files.is_empty(),
            // Hours of drawing are not thrown away for a setting.
            Some(found) => return Err(found.in_the_way_of(self, folder)),
        };
        let mut manifest = Manifest::new(*self);
        manifest.write(folder)?;
        let plan = self.plan();
        let done = AtomicUsize::new(0);
        let drawn = plan.par_iter().map(|&(name, index)| {
            let drawn = self.draw_one(folder, name, index, goes_on);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, plan.len());
            drawn
        });
        let drawn: Vec<Drawn> = drawn.collect::<Result<_>>()?;
        for part in Part::ALL {
            let bytes = spreadsheet(part, &drawn).map_err(|error| at(folder)(error.into()))?;
            write_whole(&folder.join(part.spreadsheet()), &bytes)?;
            manifest.files.insert(part.spreadsheet().into(), sha256(&bytes));
        }
        manifest.files.extend(drawn.into_iter().flat_map(|drawn| drawn.files));
        manifest.write(folder)
    }

    fn check(&self) -> Result<()> {
        for (key, value) in [("train", self.train), ("validation", self.validation), ("test", self.test)] {
            if !(2..=9999).contains(&value) {
                return Err(Error::OutOfRange { key, value: value as usize, expected: "2 to 9999".into() });
            }
        }
        let out_of_range = |key, value, expected| Err(Error::OutOfRange { key, value, expected });
        match self.size {
            DrawnSize::Shrunk(shrink) if !(1..=MOST_SHRUNK).contains(&shrink) => {
                out_of_range("shrink", shrink, format!("1 to {MOST_SHRUNK}"))
            }
            DrawnSize::Shrunk(_) => Ok(()),
            DrawnSize::Fixed(sides) => match sides.into_iter().find(|side| !(SMALLEST..=16_384).contains(side)) {
                Some(side) => out_of_range("size", side, format!("{SMALLEST} to 16384 pixels")),
                None => Ok(()),
            },
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let glaucoma = tenth(self.train);
        Counts { glaucoma, healthy: self.train - glaucoma, validation: self.validation, test: self.test }
    }

    pub(super) fn size_of(&self, part: Part) -> [usize; 2] {
        match self.size {
            DrawnSize::Shrunk(_) => part.official_size().map(|side| side / self.scale()),
            DrawnSize::Fixed(size) => size,
        }
    }

    /// How many times shorter sides are than the official ones; 1 where they are in no relation.
    pub(super) fn scale(&self) -> usize {
        match self.size {
            // A manifest may say anything.
            DrawnSize::Shrunk(shrink) => shrink.max(1),
            DrawnSize::Fixed(_) => 1,
        }
    }

    /// Names and the places of their photographs in the seed's endless sequence: of each part's stretch the first that have
    /// the diagnosis wanted.
    fn plan(&self) -> Vec<(Name, u64)> {
        let mut plan = Vec::new();
        for (start, part) in (0u64..).map(|part| part * STRETCH).zip(Part::ALL) {
            let count = [self.train, self.validation, self.test][part as usize];
            let mut wanted = [count - tenth(count), tenth(count)];
            let mut taken = [0; 2];
            let mut index = start;
            while wanted != [0, 0] {
                let kind = usize::from(Anatomy::draw(self.seed, index).glaucoma);
                if wanted[kind] > 0 {
                    wanted[kind] -= 1;
                    taken[kind] += 1;
                    let name = match part {
                        Part::Train if kind == 1 => Name::Glaucoma(taken[1]),
                        Part::Train => Name::Healthy(taken[0]),
                        Part::Validation => Name::Validation(taken[0] + taken[1]),
                        Part::Test => Name::Test(taken[0] + taken[1]),
                    };
                    plan.push((name, index));
                }
                index += 1;
            }
        }
        plan
    }

    /// Draws one photograph and its mask, unless `goes_on` and both are there.
    fn draw_one(&self, folder: &Path, name: Name, index: u64, goes_on: bool) -> Result<Drawn> {
        let size = self.size_of(name.part());
        let anatomy = Anatomy::draw(self.seed, index);
        let glaucoma = anatomy.glaucoma;
        let paths = [name.image(), name.mask(Some(glaucoma))];
        let whole = paths.each_ref().map(|path| folder.join(path));
        if !(goes_on && whole.iter().all(|path| path.is_file())) {
            let fundus = Fundus::draw(self.seed, index, size);
            let image = fundus.jpeg().map_err(|error| at(&whole[0])(std::io::Error::other(error)))?;
            let mask = mask_file(&fundus).map_err(|error| at(&whole[1])(std::io::Error::other(error)))?;
            write_whole(&whole[0], &mark_as_drawn(&image))?;
            write_whole(&whole[1], &mask)?;
        }
        let mut files = Vec::new();
        for (path, whole) in paths.into_iter().zip(whole) {
            files.push((path, sha256_of(&whole)?));
        }
        Ok(Drawn { name, glaucoma, fovea: anatomy.fovea(size), files })
    }
}

/// One in ten, and at least one.
fn tenth(count: u32) -> u32 {
    ((count + 5) / 10).max(1)
}

/// A photograph that lies in its place.
struct Drawn {
    name: Name,
    glaucoma: bool,
    /// (x, y) in pixels.
    fovea: [f32; 2],
    /// Photograph and mask with their checksums.
    files: Vec<(PathBuf, String)>,
}

/// Nobody's data is mixed with synthetic data.
fn refuse_foreign(folder: &Path, is_synthetic: bool) -> Result<()> {
    let is_empty = !folder.exists() || std::fs::read_dir(folder).map_err(at(folder))?.next().is_none();
    match is_empty || is_synthetic {
        true => Ok(()),
        false => Err(Error::Corrupt {
            file: folder.to_owned(),
            expected: format!("an empty folder, or one with a `{MANIFEST}`"),
            got: "other files".into(),
            remedy: "choose another folder for synthetic photographs",
        }),
    }
}

/// The mask as a BMP file in the official coding.
fn mask_file(fundus: &Fundus) -> image::ImageResult<Vec<u8>> {
    let coded: Vec<u8> = fundus
        .truth
        .disc_cup
        .iter()
        .map(|&class| match class {
            BACKGROUND => 255,
            RIM => 128,
            _ => 0,
        })
        .collect();
    let mut file = Vec::new();
    let [height, width] = fundus.size.map(|side| side as u32);
    BmpEncoder::new(&mut file).encode(&coded, width, height, ExtendedColorType::L8)?;
    Ok(file)
}

/// The part's spreadsheet with the official columns.
fn spreadsheet(part: Part, drawn: &[Drawn]) -> zip::result::ZipResult<Vec<u8>> {
    let header: &[&str] = match part {
        Part::Train => &["ID", "ImgName", "Fovea_X", "Fovea_Y"],
        Part::Validation => &["ID", "ImgName", "Fovea_X", "Fovea_Y", "Glaucoma Label"],
        Part::Test => &["ID", "ImgName", "Label(Glaucoma=1)", "Fovea_X", "Fovea_Y"],
    };
    let mut rows = vec![header.iter().map(|&title| Cell::from(title)).collect::<Vec<_>>()];
    for (number, drawn) in (1..).zip(drawn.iter().filter(|drawn| drawn.name.part() == part)) {
        let mut row = vec![Cell::Number(f64::from(number)), Cell::Text(drawn.name.text() + ".jpg")];
        let label = Cell::Number(f64::from(u8::from(drawn.glaucoma)));
        let fovea = drawn.fovea.map(|at| Cell::Number((f64::from(at) * 100.0).round() / 100.0));
        match part {
            Part::Train => row.extend(fovea),
            Part::Validation => row.extend(fovea.into_iter().chain([label])),
            Part::Test => row.extend([label].into_iter().chain(fovea)),
        }
        rows.push(row);
    }
    workbook(&rows)
}
