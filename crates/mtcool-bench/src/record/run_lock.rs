//! The lock that gives a run to one process.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{StorageError, create_folder};

/// Number of attempts to take a lock, and the time between them: [`RunLock::is_held`] holds a free lock for a moment.
const ATTEMPTS: usize = 5;
const PAUSE: Duration = Duration::from_millis(5);

/// The right to work on one run. The operating system ends it together with the process, for whatever reason that ends.
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the run with the hash `hash` in `runs`; `None` if another process holds it.
    ///
    /// # Errors
    /// If the lock file cannot be created.
    pub fn take(runs: &Path, hash: &str) -> Result<Option<Self>, StorageError> {
        let path = path(runs, hash);
        create_folder(path.parent().unwrap_or(runs))?;
        let file = File::create(&path).map_err(|error| StorageError::new("create", &path, error))?;
        for attempt in 1..=ATTEMPTS {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self { _file: file })),
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(error)) => return Err(StorageError::new("lock", &path, error)),
            }
        }
        Ok(None)
    }

    /// Whether a process holds the run with the hash `hash` in `runs`.
    ///
    /// # Errors
    /// If the lock file exists and cannot be opened.
    pub fn is_held(runs: &Path, hash: &str) -> Result<bool, StorageError> {
        let path = path(runs, hash);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(StorageError::open(&path, error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(StorageError::new("lock", &path, error)),
        }
    }
}

/// A run is locked by its hash, since two experiments' rows with different labels may be the same run.
fn path(runs: &Path, hash: &str) -> PathBuf {
    runs.join(".locks").join(format!("{hash}.lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_belongs_to_one_holder_at_a_time() {
        let runs = tempfile::tempdir().unwrap();
        assert!(!RunLock::is_held(runs.path(), "ab").unwrap());
        let held = RunLock::take(runs.path(), "ab").unwrap();
        assert!(held.is_some() && RunLock::is_held(runs.path(), "ab").unwrap());
        assert!(RunLock::take(runs.path(), "ab").unwrap().is_none());
        assert!(RunLock::take(runs.path(), "cd").unwrap().is_some(), "another run is free");
        drop(held);
        assert!(!RunLock::is_held(runs.path(), "ab").unwrap());
        assert!(RunLock::take(runs.path(), "ab").unwrap().is_some());
    }
}
