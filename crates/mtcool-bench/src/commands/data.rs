//! `mtcool data`: downloads, draws and checks data sets without an experiment.

use std::path::PathBuf;

use anyhow::Result;
use figment::value::Dict;

use super::own_data;
use crate::cli::Data;
use crate::logging;
use crate::output::print;
use crate::plan::{DataConfig, DataSource};
use crate::progress::Console;
use crate::suite::{Registry, SyntheticConfig};

/// Downloads, draws or checks a data set.
///
/// # Errors
/// If the data set is unknown, cannot be downloaded or drawn, or fails the check.
pub(super) fn data(registry: &Registry, arguments: Data) -> Result<()> {
    logging::start(&Console::default(), None)?;
    let place = |dataset: &str, folder: Option<PathBuf>, source| -> Result<_> {
        let entry = registry.dataset(dataset)?;
        let config = DataConfig { source, folder, cache: None, synthetic: None, settings: Dict::new() };
        Ok((entry, config.folder_of(entry)))
    };
    let (entry, folder) = match arguments {
        Data::Fetch { dataset, data } => {
            let (entry, folder) = place(&dataset, data, DataSource::Fetch)?;
            (entry.fetch)(&folder)?;
            (entry, folder)
        }
        Data::Synth { dataset, data, train, test, seed, shrink } => {
            let (entry, folder) = place(&dataset, data, DataSource::Synth)?;
            let usual = entry.synthetic;
            let (train, test) = (train.unwrap_or(usual.train), test.unwrap_or(usual.test));
            let shrink = shrink.unwrap_or(usual.shrink);
            (entry.synthesize)(&folder, SyntheticConfig { train, test, seed, shrink })?;
            (entry, folder)
        }
        Data::Inspect(arguments) => return own_data::inspect(registry, &arguments),
        Data::Init(arguments) => return own_data::init(registry, &arguments),
        Data::Verify { dataset, data } => place(&dataset, data, DataSource::Folder)?,
    };
    print(&format!("`{}` holds {}\n", folder.display(), (entry.verify)(&folder)?))
}
