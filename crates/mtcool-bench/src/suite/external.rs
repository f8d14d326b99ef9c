//! Labelled data beside the training data, on which the networks of finished runs are measured.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use mtcool_core::{Network, Parameters};
use serde_json::{Map, Value};

use super::evaluation::Evaluation;
use super::name::Name;

/// What a network was trained on, from the configuration of its run.
#[derive(Clone, Copy, Debug)]
pub struct TrainedOn<'a> {
    /// Settings of the data set.
    pub settings: &'a Value,
    /// A digest of the content of the files with what a trained network needs of its training part.
    pub files: &'a Value,
    /// The run's seed, which may determine its part of the data.
    pub seed: u64,
}

/// A folder of labelled data.
#[derive(Clone, Copy, Debug)]
pub struct ExternalFolder<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// The folder for decoded pictures; all files in it may be deleted at any time.
    pub cache: &'a Path,
    /// The settings in which its layout differs from that of the training data, or that only an external test has.
    pub layout: &'a Map<String, Value>,
}

/// Opens a folder to measure a network there that was trained on other data of this data set.
pub type OpenExternal = fn(TrainedOn<'_>, ExternalFolder<'_>) -> Result<Box<dyn ExternalSet>>;

/// An opened folder of labelled data.
pub trait ExternalSet {
    /// A digest of everything that the results follow from, beside the network.
    fn digest(&self) -> String;

    /// The checksums of the pictures' files, `sha256:...`, by case.
    fn files(&self) -> BTreeMap<String, String>;

    /// Each task that is measured, with the number of cases that have a label of it.
    fn cases(&self) -> Vec<(Name, usize)>;

    /// What a reader of the results must know, one sentence each.
    fn notes(&self) -> Vec<String>;

    /// Computes the metrics of all tasks that have labels.
    ///
    /// # Errors
    /// [`NonFinite`](super::NonFinite) if the network's outputs are not finite; any other error if a forward pass fails.
    fn measure(&self, network: &dyn Network, parameters: &Parameters) -> Result<Evaluation>;
}
