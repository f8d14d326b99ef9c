//! The removal of a run that the user does not want any more.

use std::path::Path;

use anyhow::Result;

use super::files::StorageError;
use super::run_index::StoredRun;
use super::run_lock::RunLock;

/// Removes a run of the folder `runs` with everything that it computed. Returns whether it was removed: a run that a process is
/// working on stays.
///
/// # Errors
/// If files cannot be removed.
pub fn remove_run(runs: &Path, run: &StoredRun) -> Result<bool> {
    let Some(_lock) = RunLock::take(runs, &run.hash)? else { return Ok(false) };
    // Without its status a run has not begun, so that the rest of an interrupted removal is no damaged run.
    let status = run.folder.join("run.json");
    std::fs::remove_file(&status).map_err(|error| StorageError::new("remove", &status, error))?;
    std::fs::remove_dir_all(&run.folder).map_err(|error| StorageError::new("remove", &run.folder, error))?;
    Ok(true)
}
