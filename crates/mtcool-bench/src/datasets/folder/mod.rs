//! A folder of one's own pictures, with any number of tasks: segmentation, classification, several properties, numbers. The usual
//! network is a U-Net with one head per task.

mod batches;
mod evaluate;
mod inspect;
mod measure;
mod sheet;
mod spec;
mod suite;
mod tables;
mod template;

use crate::suite::{DatasetEntry, Settings, SyntheticConfig};
use mtcool_data::folder::FolderConfig;
use spec::spec;
use suite::FolderSuite;

pub(super) fn entry() -> DatasetEntry {
    DatasetEntry {
        settings: Settings::checked::<FolderConfig>,
        synthesize: suite::synthesize,
        synthetic: SyntheticConfig { train: 100, test: 20, seed: 0, shrink: 1 },
        inspect: Some(inspect::inspect),
        suggest: Some(inspect::suggest),
        ..DatasetEntry::new("folder", "unet", spec, |folder, settings| {
            Ok(Box::new(FolderSuite::open(folder, settings)?))
        })
    }
}
