//! The identity of a folder's content in a run's configuration, with what a trained network needs of its training part.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use mtcool_data::folder::{Case, Folder, TrainingStatistics};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `files` in a run's configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FolderFiles {
    /// SHA-256 of everything that the samples follow from.
    pub(super) sha256: String,
    /// The statistics of the training part, for each fold; a single entry without folds.
    pub(super) training: Vec<TrainingStatistics>,
}

impl FolderFiles {
    /// The statistics of the training part of the run with `seed` whose configuration has `files`, for `tasks` tasks.
    ///
    /// # Errors
    /// If another version of the program wrote `files`.
    pub(super) fn statistics(files: &Value, seed: u64, tasks: usize) -> Result<TrainingStatistics> {
        let place = "`files` in the run's config.toml";
        let Self { training, .. } = serde_json::from_value(files.clone()).context(place)?;
        let fold = seed.checked_rem(training.len() as u64).with_context(|| format!("{place} has no statistics"))?;
        let statistics = training[fold as usize].clone();
        let has_all = statistics.normalization.len() == tasks && statistics.scale.len() == tasks;
        ensure!(has_all, "{place} has no statistics for each of {tasks} tasks");
        Ok(statistics)
    }
}

/// The checksum of each case's picture, by the case's name; of several pictures, that of the first task that has one.
pub(super) fn checksums(folder: &Folder) -> BTreeMap<String, String> {
    let of_case = |(index, case): (usize, &Case)| {
        let sha256 = (0..folder.tasks().len()).find_map(|task| folder.picture_sha256(task, index))?;
        Some((case.name.clone(), format!("sha256:{sha256}")))
    };
    folder.cases().iter().enumerate().filter_map(of_case).collect()
}
