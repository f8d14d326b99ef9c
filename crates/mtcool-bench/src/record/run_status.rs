//! `run.json`: how far a run is, and how it ended.

use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::file_list::{FileList, read_intact};
use super::files::{read, write_whole};

/// The progress of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A process is working on the run. If that process was killed, the file still says so; [`stored_runs`](super::stored_runs)
    /// then tells [`Status::Interrupted`].
    Running,
    /// The run was stopped before its end; it continues from its last checkpoint.
    Interrupted,
    /// The run is finished; it is not executed again with this config.
    Finished,
    /// The run diverged. It would diverge again, so it is not executed again with this config.
    Failed,
}

impl Status {
    /// Whether the run is over with its config: finished or failed.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Failed)
    }
}

/// The content of `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStatus {
    /// The hash of the run's config.
    pub hash: String,
    /// The progress of the run.
    pub status: Status,
    /// The reason, if the run failed.
    pub message: Option<String>,
    /// Number of parameters of the run's network.
    pub parameters: usize,
    /// Number of parameters of the network that Joint trains: the unit of the Params column.
    pub joint_parameters: usize,
    /// Number of epochs of the budget.
    pub epochs: u64,
    /// Number of epochs that are completed, as of the last checkpoint.
    #[serde(default)]
    pub epoch: u64,
    /// Number of steps of the method that are completed, as of the last checkpoint.
    #[serde(default)]
    pub step: u64,
    /// Number of batches of each task that are used up, as of the last checkpoint.
    #[serde(default)]
    pub batches: u64,
    /// Number of batches of each task in the budget; 0 if unknown.
    #[serde(default)]
    pub budget: u64,
    /// Training time in seconds, without evaluation, as of the last checkpoint.
    pub train_seconds: f64,
    /// The best epoch so far on the validation split, with whose network a finished run ends; `None` for a run that ends with its
    /// last epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected_epoch: Option<u64>,
    /// When the run first began, in seconds since 1970 (UTC); 0 if unknown.
    #[serde(default)]
    pub started: u64,
    /// When this status was written, in seconds since 1970 (UTC); 0 if unknown.
    #[serde(default)]
    pub updated: u64,
}

/// Number of parameters of a run's network and of the network that Joint trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkSize {
    /// Number of parameters of the run's network.
    pub parameters: usize,
    /// Number of parameters of the network that Joint trains.
    pub joint_parameters: usize,
}

impl RunStatus {
    /// The status of the run in `folder`; `None` before the run has begun.
    ///
    /// # Errors
    /// If `run.json` is damaged.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join("run.json");
        if !path.exists() {
            return Ok(None);
        }
        let status: Self = serde_json::from_slice(&read(&path)?).with_context(|| {
            format!("`{}` is damaged; delete the folder `{}` to run it again", path.display(), folder.display())
        })?;
        // The list of files is written just before the status of a finished run, so it fits this status alone.
        if status.status == Status::Finished {
            read_intact(&path)?;
        }
        Ok(Some(status))
    }

    /// Writes the status into `folder`, with the present time; for a finished run also the list of its files.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let status = Self { updated: now(), ..self.clone() };
        let bytes = serde_json::to_vec_pretty(&status)?;
        if status.status == Status::Finished {
            let mut list = FileList::of(folder)?;
            list.add("run.json", &bytes);
            list.write(folder)?;
        }
        Ok(write_whole(&folder.join("run.json"), &bytes)?)
    }
}

/// The present time, in seconds since 1970 (UTC).
pub(super) fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs())
}
