//! The folder of one run, and who may work in it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::cases::{scores_frame, write_map};
use super::checkpoint::safetensors_bytes;
use super::files::{StorageError, create_folder, read, write_whole};
use super::metrics::{Row, parquet_bytes, predictions_frame, rows_frame};
use crate::config::RunConfig;
use crate::datasets::{CaseMap, Evaluation};

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Begun; goes on from its last checkpoint.
    Running,
    /// Over; never run again with this config.
    Finished,
    /// Diverged; would do so again, so it is not run again with this config.
    Failed,
}

/// `run.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunStatus {
    /// Of the run's config.
    pub hash: String,
    /// How far it is.
    pub status: Status,
    /// Why it failed.
    pub message: Option<String>,
    /// Numbers in the network.
    pub parameters: usize,
    /// Numbers in the network that Joint trains: the unit of the Params column.
    pub joint_parameters: usize,
    /// Epochs of the budget.
    pub epochs: u64,
    /// Spent training, evaluation left out.
    pub train_seconds: f64,
}

/// Numbers in a run's network and in the one that Joint trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkSize {
    /// In the run's own.
    pub parameters: usize,
    /// In Joint's.
    pub joint_parameters: usize,
}

/// The answer to [`RunFolder::claim`].
pub enum Claim {
    /// Another live process is working on it.
    Busy,
    /// Over, with this config.
    Done(RunStatus),
    /// Ours to run, until the folder is dropped.
    Ours(Box<RunFolder>),
}

/// The folder of a run that this process holds.
pub struct RunFolder {
    path: PathBuf,
    hash: String,
    /// The operating system releases the lock when the process ends, however it ends.
    _lock: File,
}

impl RunFolder {
    /// Takes the run in `runs` for this process, unless another has it or it is over. A folder of another config is moved to
    /// `runs/.earlier`, and comes back when that config does: nothing computed is lost.
    ///
    /// # Errors
    /// If the folder cannot be read or written.
    pub fn claim(runs: &Path, run: &RunConfig) -> Result<Claim> {
        create_folder(runs)?;
        let lock_path = runs.join(format!("{}.lock", run.id()));
        let lock = File::create(&lock_path).map_err(|error| StorageError::new("create", &lock_path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Claim::Busy),
            Err(TryLockError::Error(error)) => Err(StorageError::new("lock", &lock_path, error))?,
        }
        let (path, hash) = (runs.join(run.id()), run.hash());
        Self::swap_configs(runs, run, &path, &hash)?;
        remove_leftovers(&path)?;
        remove_leftovers(&path.join("checkpoints"))?;
        for maps in std::fs::read_dir(path.join("maps")).into_iter().flatten().flatten() {
            remove_leftovers(&maps.path())?;
        }
        match Self::status(runs, run)? {
            Some(status) if status.status != Status::Running => Ok(Claim::Done(status)),
            _ => Ok(Claim::Ours(Box::new(Self { path, hash, _lock: lock }))),
        }
    }

    /// Puts a run of another config aside, and brings back an earlier one of this config. Whatever instant this is interrupted
    /// at, the next call finds both.
    fn swap_configs(runs: &Path, run: &RunConfig, path: &Path, hash: &str) -> Result<()> {
        let shelf = runs.join(".earlier");
        let earlier = |hash: &str| shelf.join(format!("{}-{}", run.id(), &hash[..hash.len().min(12)]));
        let rename = |from: &Path, to: &Path| {
            std::fs::rename(from, to).map_err(|error| StorageError::new("rename", from, error))
        };
        let remove =
            |path: &Path| std::fs::remove_dir_all(path).map_err(|error| StorageError::new("remove", path, error));
        if let Some(status) = Self::status(runs, run)?
            && status.hash != hash
        {
            create_folder(&shelf)?;
            let target = earlier(&status.hash);
            // Two folders of one config have one result; the one that is further counts.
            match (target.exists(), status.status) {
                (true, Status::Running) => remove(path)?,
                (true, _) => {
                    remove(&target)?;
                    rename(path, &target)?;
                }
                (false, _) => rename(path, &target)?,
            }
        }
        if Self::status(runs, run)?.is_none() && earlier(hash).exists() {
            if path.exists() {
                remove(path)?;
            }
            rename(&earlier(hash), path)?;
        }
        Ok(())
    }

    /// What `run.json` of `run` says, whoever holds the run; `None` before it has begun.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn status(runs: &Path, run: &RunConfig) -> Result<Option<RunStatus>> {
        let path = runs.join(run.id()).join("run.json");
        if !path.exists() {
            return Ok(None);
        }
        let status = serde_json::from_slice(&read(&path)?);
        status.map(Some).with_context(|| format!("`{}` is damaged; delete its folder to run it again", path.display()))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its checkpoints lie.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Writes what the run is before it begins.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn begin(&self, run: &RunConfig, size: NetworkSize, environment: &serde_json::Value) -> Result<()> {
        create_folder(&self.path)?;
        write_whole(&self.path.join("config.toml"), toml_text(run)?.as_bytes())?;
        write_whole(&self.path.join("environment.json"), &serde_json::to_vec_pretty(environment)?)?;
        self.set_status(run, Status::Running, None, size, 0.0)
    }

    /// The rows so far, for whoever looks while the run goes on.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn write_rows(&self, rows: &[Row]) -> Result<()> {
        Ok(write_whole(&self.path.join("metrics.parquet"), &parquet_bytes(rows_frame(rows)?)?)?)
    }

    /// What a dense task predicts for a case.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn write_map(&self, map: &CaseMap) -> Result<()> {
        write_map(&self.path, map)
    }

    /// Test predictions, scores of cases and final parameters.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn write_outcome(&self, evaluation: &Evaluation, parameters: &mtcool_core::Parameters) -> Result<()> {
        let predictions = predictions_frame(&evaluation.predictions)?;
        write_whole(&self.path.join("predictions.parquet"), &parquet_bytes(predictions)?)?;
        if !evaluation.scores.is_empty() {
            write_whole(&self.path.join("cases.parquet"), &parquet_bytes(scores_frame(&evaluation.scores)?)?)?;
        }
        Ok(write_whole(&self.path.join("model.safetensors"), &safetensors_bytes(parameters)?)?)
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn set_status(
        &self,
        run: &RunConfig,
        status: Status,
        message: Option<String>,
        size: NetworkSize,
        train_seconds: f64,
    ) -> Result<()> {
        let (hash, epochs) = (self.hash.clone(), run.training.epochs);
        let NetworkSize { parameters, joint_parameters } = size;
        let status = RunStatus { hash, status, message, parameters, joint_parameters, epochs, train_seconds };
        Ok(write_whole(&self.path.join("run.json"), &serde_json::to_vec_pretty(&status)?)?)
    }
}

/// Removes what a killed process left half written in `folder`.
fn remove_leftovers(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with(".tmp-") {
            let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.map_err(|error| StorageError::new("remove", &path, error))?;
        }
    }
    Ok(())
}

/// The config as TOML; TOML has no null, which stands for real data.
fn toml_text(run: &RunConfig) -> Result<String> {
    let mut value = serde_json::to_value(run)?;
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
        fields.insert("hash".into(), run.hash().into());
    }
    Ok(toml::to_string_pretty(&value)?)
}
