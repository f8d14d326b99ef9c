//! [`Suite`]: the operations of an opened data set that training and evaluation need.

use anyhow::{Result, bail};
use candle_core::Device;
use mtcool_core::{BatchSource, Parameters, Problem};
use serde_json::Value;

use super::data_record::DataRecord;
use super::evaluation::{CasePicture, Evaluation, MapSink, Split};
use super::extract::Extract;
use super::network::NetworkConfig;
use super::task::Caveat;

/// An opened data set. Its tasks, columns and input size are in its [`DatasetSpec`](super::DatasetSpec).
pub trait Suite: Send + Sync {
    /// How synthetic files were drawn; `null` for real data. It is part of a run's identity.
    fn origin(&self) -> Value;

    /// A digest of the content of the files, as part of a run's identity; `null` where fixed checksums already determine the
    /// content.
    fn identity(&self) -> Value {
        Value::Null
    }

    /// The files and the samples, for the record of a run: which of them train, select and test.
    fn record(&self) -> DataRecord {
        DataRecord::default()
    }

    /// How files that are not synthetic differ from the published ones, for the readers of the table.
    fn caveats(&self) -> Vec<Caveat> {
        Vec::new()
    }

    /// Number of training samples of task `task` per epoch.
    fn samples(&self, task: usize) -> usize;

    /// How often each class occurs among the training targets of task `task`, for class weights computed from frequencies.
    ///
    /// # Errors
    /// If the task has no classes, or the data set does not count them.
    fn class_counts(&self, task: usize) -> Result<Vec<u64>> {
        bail!("this data set does not count the classes of task {task}: give the class weights as a list")
    }

    /// The data that runs with `seed` train and test on, if it depends on the seed: with K folds, seed s holds out fold s mod K.
    /// `None` if all seeds use this data.
    fn of_seed(&self, seed: u64) -> Option<&dyn Suite> {
        let _ = seed;
        None
    }

    /// The same data with fewer samples, for `--fast-dev-run` and `--overfit`. The identity of its files is the same. `None`, the
    /// default, if the data set does not support this: a short check then evaluates all of it, and `--overfit` is refused.
    ///
    /// # Errors
    /// If samples cannot be read.
    fn extract(&self, extract: Extract) -> Result<Option<Box<dyn Suite>>> {
        let _ = extract;
        Ok(None)
    }

    /// The training batches of all tasks on `device`, beginning with batch `position` of each task. They depend on nothing but
    /// the arguments.
    ///
    /// # Errors
    /// If the batch size does not fit the samples.
    fn batches(&self, device: &Device, batch_size: usize, seed: u64, position: u64) -> Result<Box<dyn BatchSource>>;

    /// Checks that the images fit a network whose inputs must have sides that are multiples of `multiple`.
    ///
    /// # Errors
    /// If they do not fit; the message names the setting.
    fn check_network(&self, network: &NetworkConfig, multiple: usize) -> Result<()> {
        let _ = (network, multiple);
        Ok(())
    }

    /// Computes the metrics of all tasks on a split; `maps`, if given, receives the predicted maps of dense tasks. Metrics of the test
    /// split may depend on choices that are made on the validation split, such as a threshold, but not the other way round.
    ///
    /// # Errors
    /// [`NonFinite`](super::NonFinite) if the network's outputs are not finite; any other error if a forward pass fails.
    fn evaluate(
        &self,
        problem: &Problem,
        parameters: &Parameters,
        split: Split,
        maps: Option<&mut MapSink<'_>>,
    ) -> Result<Evaluation>;

    /// The picture of the case with the name `case` (see [`CaseMap`](super::CaseMap) and [`CaseScore`](super::CaseScore)); `None`
    /// if there is no such case or the data set has no dense task.
    ///
    /// # Errors
    /// If the picture cannot be read.
    fn picture(&self, case: &str) -> Result<Option<CasePicture>> {
        let _ = case;
        Ok(None)
    }
}
