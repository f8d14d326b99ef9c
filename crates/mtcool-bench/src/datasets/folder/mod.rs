//! A folder of one's own pictures, with any number of tasks: segmentation, classification, several properties, numbers. The usual
//! network is a U-Net with one head per task.

mod batches;
mod evaluate;
mod export;
mod external;
mod files;
mod forward;
mod inspect;
mod measure;
mod predict;
mod sheet;
mod spec;
mod suite;
mod tables;
mod template;
mod tiles;

use crate::suite::{DatasetEntry, Settings, SyntheticConfig};
use external::FolderExternal;
use mtcool_data::folder::FolderConfig;
use predict::FolderPredictor;
use spec::spec;
use suite::FolderSuite;

pub(super) fn entry() -> DatasetEntry {
    DatasetEntry {
        settings: Settings::checked::<FolderConfig>,
        synthesize: suite::synthesize,
        synthetic: SyntheticConfig { train: 100, test: 20, seed: 0, shrink: 1 },
        verify: |folder| {
            let folder = folder.display();
            Ok(format!(
                "pictures and labels; `mtcool data init {folder} --out own.toml` writes a configuration for them"
            ))
        },
        inspect: Some(inspect::inspect),
        suggest: Some(inspect::suggest),
        external: Some(|trained, external| Ok(Box::new(FolderExternal::open(trained, external)?))),
        predictor: Some(|model, options| Ok(Box::new(FolderPredictor::new(model, options)?))),
        export: Some(export::form),
        predict_options: &predict::OPTIONS,
        ..DatasetEntry::new("folder", "unet", spec, |place, settings| Ok(Box::new(FolderSuite::open(place, settings)?)))
    }
}
