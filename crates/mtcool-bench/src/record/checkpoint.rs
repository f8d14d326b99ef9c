//! Checkpoints: everything that a run needs to continue as if it had never stopped.
//!
//! A checkpoint is a folder that is written completely or not at all:
//! `model.safetensors` (parameters under the names of the paper's symbols), `state.safetensors` (the method's tensors),
//! `position.json` (counters, running sums, data position), `rows.parquet` (the metrics so far; earlier versions called it
//! `metrics.parquet`), for runs that select their best epoch its parameters, `best.safetensors`, and `files.json` (the SHA-256 of
//! each). Random number generators need no state, because every random number is determined by the seed and the counters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use mtcool_core::{MethodState, ParameterName, Parameters, StateTensors};
use serde::{Deserialize, Serialize};

use super::diagnostics::DiagnosticSums;
use super::file_list::{FileList, exists_intact, read_intact};
use super::files::{StorageError, create_folder, sync_folder, write_whole};
use super::metrics::{Row, read_rows, rows_frame};
use super::tabular::parquet_bytes;
use super::times::EpochTimes;

/// Number of checkpoints that are kept. The last but one is kept in case the last one is damaged.
const KEPT: usize = 2;

/// The file with the parameters of the best epoch so far.
const BEST: &str = "best.safetensors";

/// The counters of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Number of completed steps of the method.
    pub step: u64,
    /// Number of batches that have been drawn per task: the position in the data.
    pub batches: u64,
    /// Number of recorded epochs.
    pub epoch: u64,
    /// Sums since the last recorded epoch, one entry per task.
    pub sums: Vec<TaskSums>,
    /// Sums since the last rows that `log_every` asked for, one entry per task; empty if it asks for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logged: Vec<TaskSums>,
    /// Sums of the diagnostics since the last recorded epoch.
    #[serde(default)]
    pub diagnostics: DiagnosticSums,
    /// The best epoch so far, for runs that select it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<BestEpoch>,
    /// Time spent training so far, in seconds.
    pub train_seconds: f64,
    /// Where the time since the last recorded epoch went.
    #[serde(default)]
    pub times: EpochTimes,
    /// The method's own counter.
    pub iteration: u64,
    /// The method's own numbers.
    pub numbers: Vec<(String, f64)>,
}

/// The epoch with the highest score on the validation split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestEpoch {
    /// Its number; the first one is 1.
    pub epoch: u64,
    /// The step of the method with which it ended.
    pub step: u64,
    /// Its score.
    pub score: f64,
}

/// Sums for the mean training losses of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskSums {
    /// Sum of the task's losses.
    pub loss: f64,
    /// Sum of the task's regularisers.
    pub regularizer: f64,
    /// Number of updates.
    pub updates: u64,
}

/// A state from which a run can continue.
pub struct Checkpoint {
    /// The parameters of the network.
    pub parameters: Parameters,
    /// The method's tensors and numbers.
    pub method: MethodState,
    /// The position in the run and in the data.
    pub position: Position,
    /// The parameters at the end of the best epoch so far, for runs that select it.
    pub best: Option<Parameters>,
    /// The metrics that have been recorded so far.
    pub rows: Vec<Row>,
}

impl TaskSums {
    /// Adds an update of the task.
    pub fn add(&mut self, loss: f64, regularizer: f64) {
        self.loss += loss;
        self.regularizer += regularizer;
        self.updates += 1;
    }
}

impl Checkpoint {
    /// Saves the checkpoint below `folder`, then removes old checkpoints.
    ///
    /// # Errors
    /// If it cannot be written; older checkpoints are then still there.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let name = format!("step-{:09}", self.position.step);
        let target = folder.join(&name);
        if target.exists() {
            return Ok(());
        }
        create_folder(folder)?;
        let failed = |error| StorageError::new("write", &target, error);
        let building = tempfile::Builder::new().prefix(".tmp-").tempdir_in(folder).map_err(failed)?;
        let inside = |file: &str| building.path().join(file);
        write_whole(&inside("model.safetensors"), &safetensors_bytes(&self.parameters)?)?;
        if let Some(best) = &self.best {
            write_whole(&inside(BEST), &safetensors_bytes(best)?)?;
        }
        write_whole(&inside("state.safetensors"), &state_bytes(&self.method.tensors)?)?;
        let position = Position {
            iteration: self.method.iteration,
            numbers: self.method.numbers.clone(),
            ..self.position.clone()
        };
        write_whole(&inside("position.json"), &serde_json::to_vec_pretty(&position)?)?;
        if !self.rows.is_empty() {
            write_whole(&inside("rows.parquet"), &parquet_bytes(rows_frame(&self.rows)?)?)?;
        }
        FileList::of(building.path())?.write(building.path())?;
        std::fs::rename(building.keep(), &target).map_err(failed)?;
        sync_folder(folder)?;
        let all = list(folder)?;
        for old in all.iter().rev().skip(KEPT) {
            std::fs::remove_dir_all(old).map_err(|error| StorageError::new("remove", old, error))?;
        }
        Ok(())
    }

    /// Loads the newest checkpoint below `folder`, if there is one. `template` holds the initial parameters of the run's network.
    ///
    /// # Errors
    /// If it is damaged or belongs to another network; the message names the file and a remedy.
    pub fn load_newest(folder: &Path, template: &Parameters) -> Result<Option<Self>> {
        match list(folder)?.last() {
            Some(newest) => Self::load(newest, template).map(Some).with_context(|| {
                format!(
                    "cannot continue from checkpoint `{0}`; delete `{0}` to continue from the previous checkpoint, or `{1}` to start this run again",
                    newest.display(),
                    folder.parent().unwrap_or(folder).display()
                )
            }),
            None => Ok(None),
        }
    }

    fn load(folder: &Path, template: &Parameters) -> Result<Self> {
        let model = folder.join("model.safetensors");
        let parameters = read_model(&model, template)?;
        let position_path = folder.join("position.json");
        let mut position: Position = serde_json::from_slice(&read_intact(&position_path)?)
            .with_context(|| format!("`{}` is damaged", position_path.display()))?;
        let best = position.best.map(|_| read_model(&folder.join(BEST), template)).transpose()?;
        let method = MethodState {
            iteration: position.iteration,
            tensors: read_tensors(&folder.join("state.safetensors"))?.into_iter().collect(),
            numbers: std::mem::take(&mut position.numbers),
        };
        let [rows, of_earlier_versions] = ["rows.parquet", "metrics.parquet"].map(|name| folder.join(name));
        // Until the first epoch is complete, there are no rows and no file.
        let rows = match (exists_intact(&rows)?, position.epoch) {
            (true, _) => read_rows(&rows)?,
            (false, 0) if !of_earlier_versions.exists() => Vec::new(),
            _ => read_rows(&of_earlier_versions)?,
        };
        Ok(Self { parameters, method, position, best, rows })
    }
}

/// The position of the newest checkpoint below `folder`, and when it was written; `None` if there is no checkpoint.
///
/// # Errors
/// If it is damaged.
pub fn newest_position(folder: &Path) -> Result<Option<(Position, SystemTime)>> {
    let Some(newest) = list(folder)?.pop() else { return Ok(None) };
    let path = newest.join("position.json");
    let failed = |error| StorageError::new("read", &path, error);
    let written = std::fs::metadata(&path).and_then(|facts| facts.modified()).map_err(failed)?;
    let position = serde_json::from_slice(&read_intact(&path)?);
    Ok(Some((position.with_context(|| format!("`{}` is damaged", path.display()))?, written)))
}

/// The checkpoints in a folder, from the oldest to the newest.
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StorageError::new("read", folder, error).into()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| StorageError::new("read", folder, error))?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("step-")) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The parameters as a safetensors file, each under its name.
pub(super) fn safetensors_bytes(parameters: &Parameters) -> Result<Vec<u8>> {
    let named = parameters.iter().map(|(name, tensor)| (name.to_string(), tensor.clone()));
    Ok(safetensors::serialize(named.collect::<BTreeMap<_, _>>(), None)?)
}

/// A method's tensors as a safetensors file, each under its name.
fn state_bytes(state: &StateTensors) -> Result<Vec<u8>> {
    let named = state.iter().map(|(name, tensor)| (name.to_owned(), tensor.clone()));
    Ok(safetensors::serialize(named.collect::<BTreeMap<_, _>>(), None)?)
}

/// Reads the parameters in `path`, in the order and on the device of `template`, the initial parameters of the network.
///
/// # Errors
/// If the file is damaged or belongs to another network.
pub fn read_model(path: &Path, template: &Parameters) -> Result<Parameters> {
    let named = read_tensors(path)?.into_iter().map(|(name, tensor)| Ok((name.parse::<ParameterName>()?, tensor)));
    let parameters: Parameters =
        named.collect::<mtcool_core::Result<_>>().with_context(|| format!("`{}`", path.display()))?;
    template
        .check_compatible(&parameters)
        .with_context(|| format!("`{}` belongs to another network", path.display()))?;
    // The file does not store the order of the parameters.
    let ordered = template.map(|name, fresh| match parameters.get(name) {
        Some(tensor) => Ok(tensor.to_device(fresh.device())?),
        None => Err(candle_core::Error::Msg(format!("no `{name}`")).into()),
    })?;
    Ok(ordered)
}

/// The same for the model of a finished run, which must be able to predict.
///
/// # Errors
/// Also if a weight is not a finite number.
pub fn read_finished_model(path: &Path, template: &Parameters) -> Result<Parameters> {
    let parameters = read_model(path, template)?;
    for (name, tensor) in parameters.iter() {
        let sum = tensor.to_dtype(DType::F64)?.abs()?.sum_all()?.to_scalar::<f64>()?;
        ensure!(
            sum.is_finite(),
            "`{}`: the weights `{name}` are not finite numbers, so the network predicts nothing; train the run again",
            path.display()
        );
    }
    Ok(parameters)
}

fn read_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let bytes = read_intact(path)?;
    let tensors = match candle_core::safetensors::load_buffer(&bytes, &Device::Cpu) {
        Ok(tensors) => tensors,
        Err(error) => bail!("`{}` ({} bytes) is damaged or truncated: {error}", path.display(), bytes.len()),
    };
    Ok(tensors.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_are_not_finite_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        let read = |value: f32| {
            let tensor = Tensor::new(&[1.0, value], &Device::Cpu).unwrap();
            let name = "theta.0.conv.weight".parse::<ParameterName>().unwrap();
            let parameters: Parameters = [(name, tensor)].into_iter().collect();
            std::fs::write(&file, safetensors_bytes(&parameters).unwrap()).unwrap();
            assert!(read_model(&file, &parameters).is_ok(), "a checkpoint may have them");
            read_finished_model(&file, &parameters)
        };
        assert!(read(2.0).is_ok());
        for value in [f32::NAN, f32::INFINITY] {
            let message = read(value).unwrap_err().to_string();
            assert!(message.contains("model.safetensors`: the weights `theta.0.conv.weight`"), "{message}");
        }
    }
}
