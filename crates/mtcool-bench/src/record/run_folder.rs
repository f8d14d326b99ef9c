//! The folder of one run, which is found by the hash of the run's configuration and never moved.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::cases::{scores_frame, write_map};
use super::checkpoint::{Checkpoint, safetensors_bytes};
use super::environment::{Environment, RunRecord};
use super::file_list::FileList;
use super::files::{StorageError, create_folder, write_whole};
use super::lease::TakenOver;
use super::metrics::{Row, RunTags, metrics_frame, predictions_frame};
use super::run_lock::RunLock;
use super::run_status::{NetworkSize, RunStatus, Status, now};
use super::tabular::parquet_bytes;
use super::tensorboard::RunEvents;
use crate::plan::RunConfig;
use crate::suite::{CaseMap, Evaluation};

/// Number of digits of the hash in a folder's name.
const SHORT_HASH: usize = 8;
/// The same if another run's hash begins with the same digits.
const LONG_HASH: usize = 16;

/// The result of [`RunFolder::claim`].
pub enum Claim {
    /// Another live process is working on the run.
    Busy,
    /// The run is over with this config: finished or failed.
    Done(RunStatus),
    /// This process holds the run until the folder is dropped.
    Ours(Box<RunFolder>),
}

/// The folder of a run that this process holds. Each method that writes first checks that it still does.
pub struct RunFolder {
    path: PathBuf,
    tags: RunTags,
    events: Option<RunEvents>,
    lock: RunLock,
}

impl RunFolder {
    /// Takes the run in `runs` for this process, unless another process holds it or it is over. A run that has not begun gets
    /// the folder `{label}-s{seed}-{first digits of the hash}`.
    ///
    /// # Errors
    /// If the folder cannot be read or written.
    pub fn claim(runs: &Path, run: &RunConfig, label: &str) -> Result<Claim> {
        create_folder(runs)?;
        // A run that is over needs no lock, which costs several writes.
        if let Some((_, status)) = find_run(runs, run)?.filter(|(_, status)| status.status.is_over()) {
            return Ok(Claim::Done(status));
        }
        let hash = run.hash();
        let Some(lock) = RunLock::take(runs, &hash)? else { return Ok(Claim::Busy) };
        let found = find_run(runs, run)?;
        let path = found.as_ref().map_or_else(|| free_path(runs, label, run.seed, &hash), |(path, _)| path.clone());
        remove_leftovers(&path)?;
        remove_leftovers(&path.join("checkpoints"))?;
        for maps in std::fs::read_dir(path.join("maps")).into_iter().flatten().flatten() {
            remove_leftovers(&maps.path())?;
        }
        match found {
            Some((_, status)) if status.status.is_over() => Ok(Claim::Done(status)),
            _ => Ok(Claim::Ours(Box::new(Self { path, tags: RunTags::of(run, label), events: None, lock }))),
        }
    }

    /// The same folder, in which the metrics of `run` are also written for TensorBoard.
    ///
    /// # Errors
    /// If a setting of the run cannot be written.
    pub fn with_events(self, run: &RunConfig) -> Result<Self> {
        Ok(Self { events: Some(RunEvents::new(&self.path, run)?), ..self })
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of its checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// By whom the run was taken over, if it was.
    pub fn taken_over(&self) -> Option<TakenOver> {
        self.lock.confirm().err()?.downcast().ok()
    }

    /// Checks that the run was not found to be taken over by another process; this reads no file.
    ///
    /// # Errors
    /// [`TakenOver`] if it was.
    pub fn check_held(&self) -> Result<(), TakenOver> {
        self.lock.check()
    }

    /// Saves `checkpoint`, then removes old ones.
    ///
    /// # Errors
    /// If it cannot be written; older checkpoints are then still there. [`TakenOver`] if another process has taken the run.
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<()> {
        self.lock.confirm()?;
        checkpoint.save(&self.checkpoints())
    }

    /// Writes config, circumstances and status of the run before it begins or continues. `budget` is the number of batches of each
    /// task, `progress` the position in the run.
    ///
    /// # Errors
    /// If the file cannot be written. [`TakenOver`] if another process has taken the run.
    pub fn begin(
        &self,
        run: &RunConfig,
        size: NetworkSize,
        budget: u64,
        progress: RunProgress,
        record: &RunRecord,
    ) -> Result<RunStatus> {
        self.lock.confirm()?;
        create_folder(&self.path)?;
        FileList::remove(&self.path)?;
        let started = RunStatus::read(&self.path)?.map(|status| status.started).filter(|&started| started > 0);
        write_whole(&self.path.join("config.toml"), run.to_toml()?.as_bytes())?;
        let environment = record.environment.take_up(Environment::read(&self.path).ok(), progress.batches);
        write_whole(&self.path.join("environment.json"), &serde_json::to_vec_pretty(&environment)?)?;
        write_whole(&self.path.join("data.json"), &serde_json::to_vec_pretty(&record.data)?)?;
        let status = RunStatus {
            hash: self.tags.hash.clone(),
            status: Status::Running,
            message: None,
            parameters: size.parameters,
            joint_parameters: size.joint_parameters,
            epochs: run.training.epochs,
            epoch: 0,
            step: 0,
            batches: 0,
            budget,
            train_seconds: 0.0,
            selected_epoch: None,
            started: started.unwrap_or_else(now),
            updated: 0,
        };
        self.set_status(&status, Status::Running, None, progress)?;
        Ok(status)
    }

    /// Writes `run.json`: `of_run` as [`RunFolder::begin`] returned it, with this status, message and progress.
    ///
    /// # Errors
    /// If the file cannot be written. [`TakenOver`] if another process has taken the run.
    pub fn set_status(
        &self,
        of_run: &RunStatus,
        status: Status,
        message: Option<String>,
        progress: RunProgress,
    ) -> Result<()> {
        self.lock.confirm()?;
        let RunProgress { epoch, step, batches, train_seconds, selected_epoch } = progress;
        let of_run = of_run.clone();
        RunStatus { status, message, epoch, step, batches, train_seconds, selected_epoch, ..of_run }.write(&self.path)
    }

    /// Writes the metrics so far, so that they can be read while the run continues; without rows there is no file.
    ///
    /// # Errors
    /// If the file cannot be written. [`TakenOver`] if another process has taken the run.
    pub fn write_rows(&self, rows: &[Row]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.lock.confirm()?;
        write_whole(&self.path.join("metrics.parquet"), &parquet_bytes(metrics_frame(rows, &self.tags)?)?)?;
        match &self.events {
            Some(events) => Ok(events.write(rows)?),
            None => Ok(()),
        }
    }

    /// Writes the map that a dense task predicts for a case.
    ///
    /// # Errors
    /// If the file cannot be written. [`TakenOver`] if another process has taken the run.
    pub fn write_map(&self, map: &CaseMap) -> Result<()> {
        self.lock.confirm()?;
        write_map(&self.path, map)
    }

    /// Writes predictions, scores of cases and the final parameters; files that would have no rows are not written.
    ///
    /// # Errors
    /// If the file cannot be written. [`TakenOver`] if another process has taken the run.
    pub fn write_outcome(&self, evaluation: &Evaluation, parameters: &mtcool_core::Parameters) -> Result<()> {
        self.lock.confirm()?;
        if !evaluation.predictions.is_empty() {
            let predictions = parquet_bytes(predictions_frame(&evaluation.predictions)?)?;
            write_whole(&self.path.join("predictions.parquet"), &predictions)?;
        }
        if !evaluation.scores.is_empty() {
            write_whole(&self.path.join("cases.parquet"), &parquet_bytes(scores_frame(&evaluation.scores)?)?)?;
        }
        Ok(write_whole(&self.path.join("model.safetensors"), &safetensors_bytes(parameters)?)?)
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunProgress {
    /// Number of completed epochs.
    pub epoch: u64,
    /// Number of completed steps of the method.
    pub step: u64,
    /// Number of batches of each task that are used up.
    pub batches: u64,
    /// Training time so far in seconds, without evaluation.
    pub train_seconds: f64,
    /// The best epoch so far on the validation split, for runs that select it.
    pub selected_epoch: Option<u64>,
}

/// The folders that hold runs: `runs`, and the folder into which earlier versions of the program moved runs with other configs.
pub(super) fn run_folders(runs: &Path) -> Vec<PathBuf> {
    let folders = [runs.to_owned(), runs.join(".earlier")];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    let is_hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.is_dir() && !is_hidden(path)).collect();
    found.sort();
    found
}

/// The folder and the status of `run`, whatever its label; `None` before the run has begun. Names that earlier versions gave,
/// `{method}-s{seed}`, are found as well.
fn find_run(runs: &Path, run: &RunConfig) -> Result<Option<(PathBuf, RunStatus)>> {
    let hash = run.hash();
    let (part, earlier) = (format!("-s{}-{}", run.seed, &hash[..SHORT_HASH]), format!("{}-s{}", run.method, run.seed));
    let may_be = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().contains(&part) || name == earlier.as_str())
    };
    for path in run_folders(runs).into_iter().filter(may_be) {
        if let Some(status) = RunStatus::read(&path)?.filter(|status| run.has_hash(&status.hash)) {
            return Ok(Some((path, status)));
        }
    }
    Ok(None)
}

/// The path of the folder of a run that has not begun.
fn free_path(runs: &Path, label: &str, seed: u64, hash: &str) -> PathBuf {
    let of_length = |digits: usize| runs.join(format!("{label}-s{seed}-{}", &hash[..digits]));
    let short = of_length(SHORT_HASH);
    if short.join("run.json").exists() { of_length(LONG_HASH) } else { short }
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
