//! The folder of one run, and the lock that gives it to one process.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::cases::{scores_frame, write_map};
use super::checkpoint::safetensors_bytes;
use super::files::{StorageError, create_folder, read, write_whole};
use super::metrics::{Row, parquet_bytes, predictions_frame, rows_frame};
use crate::plan::RunConfig;
use crate::suite::{CaseMap, Evaluation};

/// The progress of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The run has begun; it continues from its last checkpoint.
    Running,
    /// The run is finished; it is not executed again with this config.
    Finished,
    /// The run diverged. It would diverge again, so it is not executed again with this config.
    Failed,
}

/// The content of `run.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// Training time in seconds, without evaluation.
    pub train_seconds: f64,
}

/// Number of parameters of a run's network and of the network that Joint trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkSize {
    /// Number of parameters of the run's network.
    pub parameters: usize,
    /// Number of parameters of the network that Joint trains.
    pub joint_parameters: usize,
}

/// The result of [`RunFolder::claim`].
pub enum Claim {
    /// Another live process is working on the run.
    Busy,
    /// The run is over with this config: finished or failed.
    Done(RunStatus),
    /// This process holds the run until the folder is dropped.
    Ours(Box<RunFolder>),
}

/// The folder of a run that this process holds.
pub struct RunFolder {
    path: PathBuf,
    hash: String,
    /// The operating system releases the lock when the process ends, for whatever reason.
    _lock: File,
}

impl RunFolder {
    /// Takes the run in `runs` for this process, unless another process holds it or it is over. A folder with another config is
    /// moved to `runs/.earlier` and moved back when that config is used again, so that no result is lost.
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

    /// Moves a run with another config away, and moves an earlier run with this config back. If the process is interrupted at any
    /// point, the next call still finds both.
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
            // Two folders with the same config have the same result; the one with more progress is kept.
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

    /// The content of `run.json` of `run`, whichever process holds the run; `None` before the run has begun.
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

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of its checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Writes config, environment and status of the run before it begins.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn begin(&self, run: &RunConfig, size: NetworkSize, environment: &serde_json::Value) -> Result<()> {
        create_folder(&self.path)?;
        write_whole(&self.path.join("config.toml"), toml_text(run)?.as_bytes())?;
        write_whole(&self.path.join("environment.json"), &serde_json::to_vec_pretty(environment)?)?;
        self.set_status(run, Status::Running, None, size, 0.0)
    }

    /// Writes the metrics so far, so that they can be read while the run continues.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_rows(&self, rows: &[Row]) -> Result<()> {
        Ok(write_whole(&self.path.join("metrics.parquet"), &parquet_bytes(rows_frame(rows)?)?)?)
    }

    /// Writes the map that a dense task predicts for a case.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_map(&self, map: &CaseMap) -> Result<()> {
        write_map(&self.path, map)
    }

    /// Writes predictions, scores of cases and the final parameters.
    ///
    /// # Errors
    /// If the file cannot be written.
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
    /// If the file cannot be written.
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

/// Removes incomplete files that a killed process left in `folder`.
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

/// The config as TOML. Null values are left out, since TOML has no null.
fn toml_text(run: &RunConfig) -> Result<String> {
    let mut value = serde_json::to_value(run)?;
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
        fields.insert("hash".into(), run.hash().into());
    }
    Ok(toml::to_string_pretty(&value)?)
}
