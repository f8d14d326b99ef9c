//! The set as experiments use it: cases, diagnoses, and a square around the disc of each photograph.

use std::path::Path;
use std::sync::Arc;

use super::case::Case;
use super::codes::MaskCodes;
use super::config::RefugeConfig;
use super::copies::copies;
use super::crops::{self, SquareCut};
use super::facts::Facts;
use super::frame::CropFrame;
use super::inventory::Found;
use super::manifest::RefugeManifest;
use super::placement::CropPlacement;
use super::report::RefugeReport;
use super::scan::scan;
use super::splits::Splits;
use super::verify::verify;
use crate::cache::Cached;
use crate::error::{Error, Result};
use crate::files::sha256;
use crate::finding::Finding;
use crate::origin::Origin;
use crate::progress::PhotographProgress;

/// REFUGE2018 with a square around the disc of every photograph, mapped from the cache.
#[derive(Clone, Debug)]
pub struct Refuge {
    cases: Arc<Vec<Case>>,
    squares: Arc<Cached>,
    frame: CropFrame,
    crop: usize,
    origin: Origin,
    fingerprint: String,
    /// SHA-256 of each case's image file.
    images: Arc<Vec<String>>,
    facts: Arc<Vec<Facts>>,
    notes: Vec<Finding>,
}

impl Refuge {
    /// Opens the photographs in `folder`. The first time, every photograph is decoded, examined and cut, and `progress` is told
    /// of each; later, the cache is used unless files have changed.
    ///
    /// # Errors
    /// [`Error::Defective`] with everything that [`verify`] finds if a file is not what it should be; [`Error::Missing`] if
    /// there is no file of the set; [`Error::OutOfRange`] if a setting is out of range; or if the cache cannot be written.
    pub fn open(folder: &Path, config: &RefugeConfig, progress: &PhotographProgress<'_>) -> Result<Self> {
        let cut = SquareCut::new(config, RefugeManifest::read(folder)?.map_or(1, |manifest| manifest.scale()))?;
        let frame = CropFrame::new(config)?;
        let inventory = scan(folder)?;
        let whole_report = || -> Result<RefugeReport> { verify(folder, &|_, _| {}) };
        if inventory.findings.iter().any(|finding| finding.is_defect) {
            return Err(whole_report()?.into_error());
        }
        let (squares, key, images) = match crops::open(&inventory, &config.cache, cut.widened(frame.margin), progress) {
            // One defect was found; the user who repairs it should know of the others as well.
            Err(Error::Defective(first)) => {
                let report = whole_report()?;
                let has_defects = report.defects().next().is_some();
                return Err(if has_defects { report.into_error() } else { Error::Defective(first) });
            }
            opened => opened?,
        };
        let case =
            |found: &Found| Some(Case { name: found.name.text(), part: found.name.part(), glaucoma: found.glaucoma? });
        let cases: Vec<Case> = inventory.found.iter().filter_map(case).collect();
        let facts = (0..inventory.found.len()).map(|index| Facts::of(squares.bytes(3 * index + 2)));
        let facts: Vec<Facts> = facts.collect::<Result<_>>()?;
        let pixels: Vec<Option<String>> = facts.iter().map(|facts| Some(facts.pixels.clone())).collect();
        let mut told = copies(&inventory, &pixels, config.allows_copies);
        if told.iter().any(|finding| finding.is_defect) {
            return Err(inventory.report(told).into_error());
        }
        told.extend(inventory.found.iter().zip(&facts).flat_map(|(found, facts)| inventory.notes_of(found, facts)));
        let (origin, notes) = (inventory.origin(), inventory.report(told).findings);
        let fingerprint = fingerprint(&key, config, &cases);
        let (cases, squares) = (Arc::new(cases), Arc::new(squares));
        let (images, facts) = (Arc::new(images), Arc::new(facts));
        Ok(Self { cases, squares, frame, crop: cut.crop, origin, fingerprint, images, facts, notes })
    }

    /// All photographs, ordered by part and name.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Whether the photographs are real or drawn.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// SHA-256 of everything that the samples follow from: the files' contents, how they are cut, where crops lie, the diagnoses.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// SHA-256 of the content of the image file of case `index`, in hexadecimal.
    pub fn image_sha256(&self, index: usize) -> &str {
        &self.images[index]
    }

    /// What is worth knowing about the folder's files, for instance files that are there twice or are not as published.
    pub fn notes(&self) -> &[Finding] {
        &self.notes
    }

    /// Side of a crop, in pixels of these photographs.
    pub fn crop(&self) -> usize {
        self.crop
    }

    /// Side of a crop as the network sees it, in pixels.
    pub fn side(&self) -> usize {
        self.frame.side
    }

    /// The evaluation crop of case `index` as red, green and blue, `[S, S, 3]`.
    pub fn pixels(&self, index: usize) -> Vec<u8> {
        self.evaluation_crop(index, self.stored_pixels(index), 3)
    }

    /// The classes of the evaluation crop of case `index`, `[S, S]`: 0 background, 1 rim, 2 cup.
    pub fn classes(&self, index: usize) -> Vec<u8> {
        self.evaluation_crop(index, self.stored_classes(index), 1)
    }

    /// (height, width) of the photograph of case `index`.
    pub fn size(&self, index: usize) -> [usize; 2] {
        self.facts[index].size
    }

    /// The codes by which all masks of the folder were read.
    pub fn mask_codes(&self) -> MaskCodes {
        self.facts.first().map_or(MaskCodes::OFFICIAL, |facts| facts.codes)
    }

    /// The number of pixels of the mask of case `index` that hang not together with the disc; they are read as background.
    pub fn specks(&self, index: usize) -> usize {
        self.facts[index].specks.iter().sum()
    }

    /// Whether the photograph of case `index` is grey.
    pub fn is_grey(&self, index: usize) -> bool {
        self.facts[index].is_grey
    }

    /// The pairs of cases whose photographs are the same, as indices: the later one and the first one.
    pub fn copies(&self) -> Vec<[usize; 2]> {
        let mut first = std::collections::BTreeMap::new();
        let pairs = self.facts.iter().enumerate().filter_map(|(index, facts)| {
            let earlier = *first.entry(facts.pixels.as_str()).or_insert(index);
            (earlier != index).then_some([index, earlier])
        });
        pairs.collect()
    }

    /// Divides the cases: 800 to train and select on, of which the stratified share `held_out` (usually [`Splits::HELD_OUT`]), drawn
    /// from `seed`, is for selection; 400 to report. A stratum (part and diagnosis) of two or more cases has at least one on both sides.
    pub fn splits(&self, seed: u64, held_out: f64) -> Splits {
        Splits::draw(&self.cases, seed, held_out)
    }

    /// Where crops lie in the stored squares.
    pub(super) fn frame(&self) -> &CropFrame {
        &self.frame
    }

    /// The stored square of case `index`, `[S', S', 3]` with S' of [`CropFrame::stored_side`].
    pub(super) fn stored_pixels(&self, index: usize) -> &[u8] {
        self.squares.bytes(3 * index)
    }

    /// The classes of the stored square of case `index`, `[S', S']`.
    pub(super) fn stored_classes(&self, index: usize) -> &[u8] {
        self.squares.bytes(3 * index + 1)
    }

    /// The part of `stored`, the square of case `index`, on which the case is evaluated.
    fn evaluation_crop(&self, index: usize, stored: &[u8], channels: usize) -> Vec<u8> {
        let ([top, left], CropFrame { side, .. }) = (self.frame.evaluation_corner(&self.cases[index].name), self.frame);
        let line = self.frame.stored_side() * channels;
        let rows = stored.chunks_exact(line).skip(top).take(side);
        rows.flat_map(|row| &row[left * channels..(left + side) * channels]).copied().collect()
    }
}

/// The diagnoses come from spreadsheets and folders, and crops from squares: the name of the squares' cache entry knows of
/// neither.
fn fingerprint(squares: &str, config: &RefugeConfig, cases: &[Case]) -> String {
    let RefugeConfig { crop, side, placement: CropPlacement { translation, jitter, seed }, .. } = config;
    let placed = format!("crop {crop} side {side} translation {translation} jitter {jitter} seed {seed}");
    let diagnoses = cases.iter().map(|case| format!("{} {}\n", case.name, case.glaucoma));
    sha256(format!("{squares}\n{placed}\n{}", diagnoses.collect::<String>()).as_bytes())
}
