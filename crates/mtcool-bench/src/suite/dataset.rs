//! A data set before it is opened: how to obtain it, check it, describe it and open it.

use std::path::Path;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::export_form::DescribeExport;
use super::external::OpenExternal;
use super::inspection::{Inspect, Suggest};
use super::name::Name;
use super::place::DataPlace;
use super::predictor::{PredictOption, PredictOptions, Predictor, TrainedModel};
use super::settings::{Settings, SettingsError};
use super::task::DatasetSpec;
use super::traits::Suite;

/// Size and seed of a synthetic set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticConfig {
    /// Number of training images, validation images included.
    pub train: usize,
    /// Number of test images.
    pub test: usize,
    /// The seed from which every image is drawn.
    pub seed: u64,
    /// The factor by which the sides of the images are shorter than those of the official photographs.
    #[serde(default = "whole_size")]
    pub shrink: usize,
}

fn whole_size() -> usize {
    1
}

/// Builds a predictor from the network of a finished run and from the given flags.
pub type BuildPredictor = fn(TrainedModel, &PredictOptions) -> Result<Box<dyn Predictor>>;

/// A data set as the program knows it: one entry of the registry.
#[derive(Clone)]
pub struct DatasetEntry {
    /// Its name in TOML files and flags, and the name of its folder below `data/`.
    pub name: Name,
    /// The network that an experiment uses unless `network.kind` names another one.
    pub network: Name,
    /// Checks the data set's own settings, the table `data.settings`, and fills in defaults. The result is part of a run's
    /// identity.
    pub settings: fn(&Settings) -> Result<Value, SettingsError>,
    /// Returns tasks, columns and input size for checked settings.
    pub spec: fn(&Value) -> Result<DatasetSpec>,
    /// Opens a folder with checked settings.
    pub open: fn(DataPlace<'_>, &Value) -> Result<Box<dyn Suite>>,
    /// Downloads the data set into a folder, or checks the files that are already there.
    pub fetch: fn(&Path) -> Result<()>,
    /// Draws a synthetic set into a folder.
    pub synthesize: fn(&Path, SyntheticConfig) -> Result<()>,
    /// Size and seed that `data synth` uses by default.
    pub synthetic: SyntheticConfig,
    /// Checks a folder and describes its content.
    pub verify: fn(&Path) -> Result<String>,
    /// Looks at every file of a folder, for data sets of the user's own files.
    pub inspect: Option<Inspect>,
    /// Writes an experiment's file for a folder, for data sets of the user's own files.
    pub suggest: Option<Suggest>,
    /// Opens labelled data beside the training data, on which finished runs are measured, if the data set supports this.
    pub external: Option<OpenExternal>,
    /// Builds the predictor for the user's own photographs, if the data set supports this.
    pub predictor: Option<BuildPredictor>,
    /// Says what `mtcool export` has to know about pictures and answers. Without it, an exported network reads what the network
    /// itself reads, and its outputs have no names.
    pub export: Option<DescribeExport>,
    /// Flags of `mtcool predict` that only the predictor of this data set understands.
    pub predict_options: &'static [PredictOption],
}

impl DatasetEntry {
    /// A data set without settings, download, synthetic form or predictor; set the fields that it has.
    pub fn new(
        name: impl Into<Name>,
        network: impl Into<Name>,
        spec: fn(&Value) -> Result<DatasetSpec>,
        open: fn(DataPlace<'_>, &Value) -> Result<Box<dyn Suite>>,
    ) -> Self {
        Self {
            name: name.into(),
            network: network.into(),
            settings: Settings::none,
            spec,
            open,
            fetch: |folder| {
                if folder.is_dir() {
                    return Ok(());
                }
                bail!("`{}` is not there, and this data set cannot be downloaded", folder.display())
            },
            synthesize: |_, _| bail!("this data set has no synthetic form"),
            synthetic: SyntheticConfig { train: 0, test: 0, seed: 0, shrink: 1 },
            verify: |_| Ok("files, which are checked when they are read".into()),
            inspect: None,
            suggest: None,
            external: None,
            predictor: None,
            export: None,
            predict_options: &[],
        }
    }
}
