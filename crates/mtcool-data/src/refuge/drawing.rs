//! Draws synthetic fundus photographs in REFUGE's official folders, names, codings and spreadsheets.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use image::ExtendedColorType;
use image::codecs::bmp::BmpEncoder;
use rayon::prelude::*;

use super::manifest::RefugeManifest;
use super::names::{Name, RefugePart};
use super::spreadsheet::{SheetCell, workbook};
use super::synthesis::{RefugeSynthesis, tenth};
use crate::error::{Error, Result, at};
use crate::files::{sha256, sha256_of, write_whole};
use crate::fundus::{Anatomy, BACKGROUND, Fundus, GENERATOR, RIM};
use crate::manifest::MANIFEST;
use crate::picture::mark_as_drawn;
use crate::progress::PhotographProgress;

/// The photographs of each part come from a separate range of indices, which has this length.
const STRETCH: u64 = 1 << 32;

impl RefugeSynthesis {
    /// Whether `folder` holds a complete set that was drawn by exactly these settings and drawing rules. Its files are not
    /// read; `verify` does that.
    ///
    /// # Errors
    /// If the folder's manifest cannot be read.
    pub fn is_drawn(&self, folder: &Path) -> Result<bool> {
        let manifest = RefugeManifest::read(folder)?;
        let is_current = |found: &RefugeManifest| found.generator == GENERATOR && found.config == *self;
        Ok(manifest.is_some_and(|found| {
            is_current(&found) && !found.files.is_empty() && found.files.keys().all(|path| folder.join(path).is_file())
        }))
    }

    /// Draws the set into `folder`: photographs, masks, spreadsheets and a manifest which says that they are synthetic. Files
    /// that an interrupted drawing by the same settings left are kept.
    ///
    /// # Errors
    /// If a setting is out of range, or `folder` holds another data set, drawn or not, or cannot be written.
    pub fn draw(&self, folder: &Path, progress: &PhotographProgress<'_>) -> Result<()> {
        self.check()?;
        let found = RefugeManifest::read(folder)?;
        refuse_foreign(folder, found.is_some())?;
        let goes_on = match found {
            None => false,
            Some(found) if found.generator == GENERATOR && found.config == *self => found.files.is_empty(),
            // A set may have taken hours to draw, so it is never replaced because a setting differs.
            Some(found) => return Err(found.in_the_way_of(self, folder)),
        };
        let mut manifest = RefugeManifest::new(*self);
        manifest.write(folder)?;
        let plan = self.plan();
        let done = AtomicUsize::new(0);
        let drawn = plan.par_iter().map(|&(name, index)| {
            let drawn = self.draw_one(folder, name, index, goes_on);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, plan.len());
            drawn
        });
        let drawn: Vec<Drawn> = drawn.collect::<Result<_>>()?;
        for part in RefugePart::ALL {
            let bytes = spreadsheet(part, &drawn).map_err(|error| at(folder)(error.into()))?;
            write_whole(&folder.join(part.spreadsheet()), &bytes)?;
            manifest.files.insert(part.spreadsheet().into(), sha256(&bytes));
        }
        manifest.files.extend(drawn.into_iter().flat_map(|drawn| drawn.files));
        manifest.write(folder)
    }

    /// Names, and the indices of their photographs in the endless sequence of the seed: the first ones of the part's range that
    /// have the required diagnosis.
    fn plan(&self) -> Vec<(Name, u64)> {
        let mut plan = Vec::new();
        for (start, part) in (0u64..).map(|part| part * STRETCH).zip(RefugePart::ALL) {
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
                        RefugePart::Train if kind == 1 => Name::Glaucoma(taken[1]),
                        RefugePart::Train => Name::Healthy(taken[0]),
                        RefugePart::Validation => Name::Validation(taken[0] + taken[1]),
                        RefugePart::Test => Name::Test(taken[0] + taken[1]),
                    };
                    plan.push((name, index));
                }
                index += 1;
            }
        }
        plan
    }

    /// Draws one photograph and its mask, unless `goes_on` is true and both are there.
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

/// A photograph whose files have been written.
struct Drawn {
    name: Name,
    glaucoma: bool,
    /// The fovea as (x, y) in pixels.
    fovea: [f32; 2],
    /// The paths of photograph and mask with their checksums.
    files: Vec<(PathBuf, String)>,
}

/// Refuses a folder with other files, so that no data set is mixed with synthetic data.
fn refuse_foreign(folder: &Path, is_synthetic: bool) -> Result<()> {
    let is_empty = !folder.exists() || std::fs::read_dir(folder).map_err(at(folder))?.next().is_none();
    if is_empty || is_synthetic {
        return Ok(());
    }
    Err(Error::Corrupt {
        file: folder.to_owned(),
        expected: format!("an empty folder, or one with a `{MANIFEST}`"),
        got: "other files".into(),
        remedy: "choose another folder for synthetic photographs",
    })
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
fn spreadsheet(part: RefugePart, drawn: &[Drawn]) -> zip::result::ZipResult<Vec<u8>> {
    let header: &[&str] = match part {
        RefugePart::Train => &["ID", "ImgName", "Fovea_X", "Fovea_Y"],
        RefugePart::Validation => &["ID", "ImgName", "Fovea_X", "Fovea_Y", "Glaucoma Label"],
        RefugePart::Test => &["ID", "ImgName", "Label(Glaucoma=1)", "Fovea_X", "Fovea_Y"],
    };
    let mut rows = vec![header.iter().map(|&title| SheetCell::from(title)).collect::<Vec<_>>()];
    for (number, drawn) in (1..).zip(drawn.iter().filter(|drawn| drawn.name.part() == part)) {
        let mut row = vec![SheetCell::Number(f64::from(number)), SheetCell::Text(drawn.name.text() + ".jpg")];
        let label = SheetCell::Number(f64::from(u8::from(drawn.glaucoma)));
        let fovea = drawn.fovea.map(|at| SheetCell::Number((f64::from(at) * 100.0).round() / 100.0));
        match part {
            RefugePart::Train => row.extend(fovea),
            RefugePart::Validation => row.extend(fovea.into_iter().chain([label])),
            RefugePart::Test => row.extend([label].into_iter().chain(fovea)),
        }
        rows.push(row);
    }
    workbook(&rows)
}
