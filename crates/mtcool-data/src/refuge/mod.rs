//! REFUGE2018: fundus photographs with two tasks on each: segment disc and cup, and recognise glaucoma.
//!
//! - [`verify`] examines every file of the official folders, or of doubled or repacked ones, and lists every problem.
//! - [`Refuge::open`] reads them: squares around the disc, cut once and kept in a cache.
//! - [`FundusSamples`] makes crops of these squares: training crops at random places, evaluation crops at fixed ones.
//! - [`RefugeSynthesis`] draws a set of synthetic photographs in the same folders, marked as synthetic.

mod case;
mod codes;
mod config;
mod copies;
mod crops;
mod drawing;
mod examine;
mod facts;
mod frame;
mod inventory;
mod labels;
mod manifest;
mod mask;
mod names;
mod placement;
mod report;
mod samples;
mod scan;
mod set;
mod splits;
mod spreadsheet;
mod synthesis;
mod values;
mod verify;

pub use crate::progress::PhotographProgress;
pub use case::Case;
pub use codes::MaskCodes;
pub use config::RefugeConfig;
pub use crops::square;
pub use names::RefugePart;
pub use placement::CropPlacement;
pub use report::RefugeReport;
pub use samples::{FundusSamples, GLAUCOMA, PIXEL_MEAN, PIXEL_STD, SEGMENTATION, network_input};
pub use set::Refuge;
pub use splits::Splits;
pub use synthesis::{DrawnSize, RefugeSynthesis};
pub use verify::verify;

/// The parsers of this module, for the fuzz tests.
pub(crate) mod fuzzing {
    use std::path::Path;

    use super::codes::{MaskCodes, Vote};
    use super::manifest::RefugeManifest;
    use super::values::MaskValues;
    use super::{mask, spreadsheet};
    use crate::picture::decode_upright;

    pub(crate) fn disc_mask(bytes: &[u8]) {
        let Ok((picture, _)) = decode_upright(bytes) else { return };
        drop(mask::decode(&picture, MaskCodes::OFFICIAL));
        if let Ok(values) = MaskValues::of(&picture)
            && let Vote::Three(codes) = Vote::of(&values)
        {
            drop(mask::decode(&picture, codes));
        }
    }

    pub(crate) fn workbook(bytes: &[u8]) {
        drop(spreadsheet::diagnoses(bytes));
    }

    pub(crate) fn sheet(bytes: &[u8]) {
        if let Ok(workbook) = spreadsheet::workbook_of_sheet(&String::from_utf8_lossy(bytes)) {
            drop(spreadsheet::diagnoses(&workbook));
        }
    }

    pub(crate) fn manifest(folder: &Path) {
        drop(RefugeManifest::read(folder).map(|manifest| manifest.map(|manifest| manifest.counts().names().count())));
    }
}
