//! REFUGE2018: fundus photographs with disc and cup to segment and glaucoma to recognise, two tasks on one image.
//!
//! - [`verify`] looks at every file of the official folders, or of doubled or repacked ones, and lists every problem.
//! - [`Refuge::open`] reads them: squares around the disc, cut once and kept in a cache.
//! - [`RefugeSynthesis`] draws a set of synthetic photographs in the same folders, marked as such.

mod crops;
mod facts;
mod labels;
mod manifest;
mod mask;
mod names;
mod report;
mod samples;
mod scan;
mod splits;
mod spreadsheet;
mod synthetic;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::augment::Augmentation;
use crate::cache::Cached;
use crate::error::{Error, Result};
use crate::files::sha256;
use crate::mnist::Origin;

use crops::Cut;
use facts::Facts;
use manifest::Manifest;

pub use crate::finding::{Finding, Problem};
pub use crops::square;
pub use names::Part;
pub use report::Report;
pub use samples::{FundusSamples, GLAUCOMA, SEGMENTATION, network_input};
pub use splits::Splits;
pub use synthetic::{DrawnSize, RefugeSynthesis};
pub use verify::verify;

/// Hears how many of how many photographs are done, from any thread.
pub type Progress<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// How photographs are cut, and where the crops are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefugeConfig {
    /// Side of the square around the disc, in pixels of the official photographs: of drawn ones that are n times smaller, a
    /// multiple of n, and n times fewer pixels are cut.
    pub crop: usize,
    /// Side of what becomes of it, in pixels: what was cut, at native resolution, or a divisor of it.
    pub side: usize,
    /// Folder of the cached crops; may be deleted at any time.
    pub cache: PathBuf,
}

/// A photograph as experiments know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Such as `g0012` or `V0400`.
    pub name: String,
    /// In which it was published.
    pub part: Part,
    /// The diagnosis.
    pub glaucoma: bool,
}

/// REFUGE2018 with all its crops at hand.
#[derive(Clone, Debug)]
pub struct Refuge {
    cases: Arc<Vec<Case>>,
    crops: Arc<Cached>,
    crop: usize,
    side: usize,
    origin: Origin,
    fingerprint: String,
    notes: Vec<Finding>,
}

impl Refuge {
    /// Opens the photographs in `folder`. The first time, every one is decoded, examined and cut, of which `progress` hears;
    /// later, only whether files have changed is looked at.
    ///
    /// # Errors
    /// [`Error::Defective`] with everything that [`verify`] finds if a file is not what it should be; [`Error::Missing`] if
    /// there is nothing of the set; [`Error::OutOfRange`] if a setting is; or if the cache cannot be written.
    pub fn open(folder: &Path, config: &RefugeConfig, progress: &Progress<'_>) -> Result<Self> {
        let cut = Cut::new(config, Manifest::read(folder)?.map_or(1, |manifest| manifest.scale()))?;
        let inventory = scan::scan(folder)?;
        let whole_report = || -> Result<Report> { verify(folder, &|_, _| {}) };
        if inventory.findings.iter().any(|finding| finding.is_defect) {
            return Err(whole_report()?.into_error());
        }
        let (crops, key) = match crops::open(&inventory, &config.cache, cut, progress) {
            // One defect was found; whoever repairs it wants to know of the others.
            Err(Error::Defective(first)) => {
                let report = whole_report()?;
                let has_defects = report.defects().next().is_some();
                return Err(if has_defects { report.into_error() } else { Error::Defective(first) });
            }
            opened => opened?,
        };
        let case = |found: &scan::Found| {
            Some(Case { name: found.name.text(), part: found.name.part(), glaucoma: found.glaucoma? })
        };
        let cases: Vec<Case> = inventory.found.iter().filter_map(case).collect();
        let told = (0usize..).zip(&inventory.found);
        let told = told.flat_map(|(index, found)| inventory.notes_of(found, Facts::of(crops.bytes(3 * index + 2))));
        let (origin, notes) = (inventory.origin(), inventory.report(told.collect()).findings);
        let fingerprint = fingerprint(&key, &cases);
        let (cases, crops) = (Arc::new(cases), Arc::new(crops));
        Ok(Self { cases, crops, crop: cut.crop, side: config.side, origin, fingerprint, notes })
    }

    /// All photographs, by part and name.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Whether the photographs are real.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// SHA-256 of everything that the samples follow from: the files' contents, how they are cut, the diagnoses.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// What is worth knowing about the folder's files, such as ones that are there twice, or are not as published.
    pub fn notes(&self) -> &[Finding] {
        &self.notes
    }

    /// Side of the square around the disc, in pixels of the photographs.
    pub fn crop(&self) -> usize {
        self.crop
    }

    /// Side of a crop in pixels.
    pub fn side(&self) -> usize {
        self.side
    }

    /// The crop of case `index` as red, green and blue, `[S, S, 3]`.
    pub fn pixels(&self, index: usize) -> &[u8] {
        self.crops.bytes(3 * index)
    }

    /// The classes of the crop of case `index`, `[S, S]`: 0 background, 1 rim, 2 cup.
    pub fn classes(&self, index: usize) -> &[u8] {
        self.crops.bytes(3 * index + 1)
    }

    /// (height, width) of the photograph of case `index`.
    pub fn size(&self, index: usize) -> [usize; 2] {
        Facts::of(self.crops.bytes(3 * index + 2)).size
    }

    /// Whether the mask of case `index` is coded 0, 1, 2, as some copies are, and not 0, 128, 255.
    pub fn is_recoded(&self, index: usize) -> bool {
        Facts::of(self.crops.bytes(3 * index + 2)).coding != mask::Coding::Official
    }

    /// 800 to train and select on, 400 to report; a stratified tenth of the 800, drawn from `seed`, is for selection.
    pub fn splits(&self, seed: u64) -> Splits {
        Splits::draw(&self.cases, seed)
    }

    /// The cases `indices` as samples that [`crate::SharedLoader`] reads, changed by `augmentation`.
    pub fn samples(&self, indices: Vec<u32>, augmentation: Augmentation) -> FundusSamples {
        FundusSamples::new(self.clone(), indices, augmentation)
    }
}

/// Diagnoses come from spreadsheets and folders, of which the crops know nothing.
fn fingerprint(crops: &str, cases: &[Case]) -> String {
    let diagnoses = cases.iter().map(|case| format!("{} {}\n", case.name, case.glaucoma));
    sha256(format!("{crops}\n{}", diagnoses.collect::<String>()).as_bytes())
}
