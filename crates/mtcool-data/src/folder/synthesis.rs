//! Draws an example: pictures of cells with two kinds of masks, and a table with a stage, granules and a ratio of areas.

use std::path::{Path, PathBuf};

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::config::{FolderConfig, SplitConfig};
use super::drawn_cell::{CELL_VALUES, DrawnCell, GRANULE_COLORS, stain};
use super::task::{TaskConfig, TaskKind};
use super::value::MaskValue;
use crate::augment::Augmentation;
use crate::error::{Error, Result, at};
use crate::files::write_whole;
use crate::manifest::{MANIFEST, read_manifest, write_manifest};

/// The version of the drawing rules.
const GENERATOR: u32 = 1;
/// The stages, from small nuclei to large ones.
const STAGES: [&str; 3] = ["resting", "growing", "dividing"];
/// Cases of one patient.
const PER_PATIENT: usize = 3;

/// How many cases to draw, how large, and from what seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderSynthesis {
    /// Number of cases, at least 30, so that every part of a split has every class.
    pub cases: usize,
    /// Height and width of the pictures, 32 to 1024.
    pub side: usize,
    /// Every picture is a function of it and the case's number.
    pub seed: u64,
}

impl Default for FolderSynthesis {
    fn default() -> Self {
        Self { cases: 120, side: 64, seed: 0 }
    }
}

/// What the folder holds, so that nobody takes it for real data.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    generator: u32,
    folder: FolderSynthesis,
}

/// Draws the example into `root`: `images/`, the masks `cells/` and `granules/`, and `labels.csv`. Some labels are missing, as in
/// real data. Nothing is done if the folder holds the same example already.
///
/// # Errors
/// If a number is out of range, the folder holds other files, or it cannot be written.
pub fn synthesize(root: &Path, synthesis: FolderSynthesis) -> Result<()> {
    let FolderSynthesis { cases, side, seed } = synthesis;
    for (key, value, least, most) in [("cases", cases, 30, 99_999), ("side", side, 32, 1024)] {
        if !(least..=most).contains(&value) {
            return Err(Error::OutOfRange { key, value, expected: format!("{least} to {most}") });
        }
    }
    let manifest = Manifest { generator: GENERATOR, folder: synthesis };
    let (found, remedy) = (manifest_of(root)?, REMEDY);
    if found.as_ref() == Some(&manifest) && root.join(TABLE).is_file() {
        return Ok(());
    }
    let has_files = std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some());
    if has_files && found.as_ref() != Some(&manifest) {
        let (file, got) = (root.join(MANIFEST), found.map_or("other files".into(), |found| format!("{found:?}")));
        return Err(Error::Corrupt { file, expected: "an empty folder, or this example".into(), got, remedy });
    }
    write_manifest(root, &manifest)?;
    let rows = (0..cases).into_par_iter().map(|index| {
        let cell = DrawnCell::draw(seed, index as u64, stain(index / PER_PATIENT), side);
        draw_files(root, index, &cell, side)?;
        Ok(row(index, &cell))
    });
    let rows = rows.collect::<Result<Vec<_>>>()?;
    let header = ["case", "patient", "stage", "red_granules", "blue_granules", "nucleus_ratio"].map(str::to_owned);
    let lines = std::iter::once(header).chain(rows).map(|cells| cells.join(",") + "\n");
    // The table is the last file: it says that the set is complete.
    write_whole(&root.join(TABLE), lines.collect::<String>().as_bytes())
}

const TABLE: &str = "labels.csv";
const REMEDY: &str = "name another folder, or delete the files of this one";

/// How the folder `root` was drawn; `None` if it holds files of another origin.
///
/// # Errors
/// If the file that says so is damaged.
pub fn drawn(root: &Path) -> Result<Option<FolderSynthesis>> {
    Ok(manifest_of(root)?.map(|manifest| manifest.folder))
}

fn manifest_of(root: &Path) -> Result<Option<Manifest>> {
    read_manifest(root, "the example's number of cases, side and seed", REMEDY, |value| {
        serde_json::from_value(value).map_err(|error| error.to_string())
    })
}

fn draw_files(root: &Path, index: usize, cell: &DrawnCell, side: usize) -> Result<()> {
    let file = |folder: &str| root.join(folder).join(format!("{}.png", name(index)));
    let regions: Vec<u8> = cell.regions.iter().map(|&region| CELL_VALUES[usize::from(region)]).collect();
    let granules: Vec<u8> = cell.granules.iter().flat_map(|&granule| GRANULE_COLORS[usize::from(granule)]).collect();
    write_png(&file("images"), &cell.pixels, side, ExtendedColorType::Rgb8)?;
    write_png(&file("cells"), &regions, side, ExtendedColorType::L8)?;
    if index % 4 != 3 {
        write_png(&file("granules"), &granules, side, ExtendedColorType::Rgb8)?;
    }
    Ok(())
}

fn write_png(file: &Path, pixels: &[u8], side: usize, color: ExtendedColorType) -> Result<()> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new(&mut bytes);
    let written = encoder.write_image(pixels, side as u32, side as u32, color);
    written.map_err(|error| at(file)(std::io::Error::other(error)))?;
    write_whole(file, &bytes)
}

fn name(index: usize) -> String {
    format!("cell_{index:05}")
}

/// The row of the table; some cells are empty.
fn row(index: usize, cell: &DrawnCell) -> [String; 6] {
    let known = |text: String, every: usize, at: usize| if index % every == at { String::new() } else { text };
    let has = |color: u8| u8::from(cell.has_granules(color)).to_string();
    [
        name(index),
        format!("patient_{:04}", index / PER_PATIENT),
        known(STAGES[cell.stage()].into(), 7, 5),
        known(has(1), 9, 4),
        known(has(2), 11, 6),
        known(format!("{:.4}", cell.ratio), 8, 2),
    ]
}

impl FolderSynthesis {
    /// The settings of the drawn folder: five tasks of all four kinds.
    pub fn config(&self) -> FolderConfig {
        let segmentation = |mask: &str, classes: [(MaskValue, &str); 3]| TaskKind::Segmentation {
            mask: mask.into(),
            classes: classes.into_iter().map(|(value, name)| (value, name.to_owned())).collect(),
            order: Vec::new(),
            ignored: Vec::new(),
            tolerance: 0,
            regions: Default::default(),
        };
        let [background, cytoplasm, nucleus] = CELL_VALUES.map(|value| MaskValue::Grey(value.into()));
        let [none, red, blue] = GRANULE_COLORS.map(MaskValue::of_color);
        let cells = [(background, "background"), (cytoplasm, "cytoplasm"), (nucleus, "nucleus")];
        let mut cells = segmentation("cells/{case}.png", cells);
        if let TaskKind::Segmentation { regions, .. } = &mut cells {
            regions.insert("cell".into(), ["cytoplasm", "nucleus"].map(str::to_owned).to_vec());
        }
        let granules = [(none, "background"), (red, "red_granule"), (blue, "blue_granule")];
        let stage = TaskKind::Classification {
            column: "stage".into(),
            classes: STAGES.map(Into::into).to_vec(),
            names: Vec::new(),
        };
        let columns = ["red_granules", "blue_granules"].map(str::to_owned).to_vec();
        let present = TaskKind::Multilabel { columns, names: Vec::new() };
        let range = Some([0.0, 1.0]);
        let ratio = TaskKind::Regression { column: "nucleus_ratio".into(), unit: None, range };
        let tasks = [
            ("cell", cells),
            ("granules", segmentation("granules/{case}.png", granules)),
            ("stage", stage),
            ("present", present),
            ("ratio", ratio),
        ];
        let task = |(name, kind): (&str, TaskKind)| TaskConfig {
            name: name.into(),
            images: None,
            image_column: None,
            kept: None,
            kind,
        };
        FolderConfig {
            root: None,
            images: Some("images/{case}.png".into()),
            image_column: None,
            table: Some(PathBuf::from(TABLE)),
            sheet: None,
            case: "case".into(),
            group: Some("patient".into()),
            channels: 3,
            size: [self.side; 2],
            fit: Default::default(),
            scale: 1.0,
            patches_per_image: 1,
            tile: None,
            overlap: None,
            margin: None,
            spacing: None,
            augmentation: Augmentation { mirror: true, flip: true, right_angles: true, ..Augmentation::NONE },
            balanced: None,
            split: SplitConfig::default(),
            tasks: tasks.into_iter().map(task).collect(),
        }
    }
}
