//! The lock that gives a run to one process, whichever machines share the folder of results.

use std::path::{Path, PathBuf};

use super::files::StorageError;
use super::lease::{Holder, Lease, TakenOver, Terms};

/// The right to work on one run, which ends together with the process, for whatever reason that ends.
pub struct RunLock {
    lease: Lease,
}

impl RunLock {
    /// Takes the run with the hash `hash` in `runs`; `None` if another process holds it. If a process of another machine seems to be
    /// gone, this takes several seconds.
    ///
    /// # Errors
    /// If a file of the lock cannot be read or written.
    pub fn take(runs: &Path, hash: &str) -> Result<Option<Self>, StorageError> {
        let lease = Lease::take(&folder(runs, hash), Holder::of_process(), Terms::USUAL)?;
        Ok(lease.map(|lease| Self { lease }))
    }

    /// Whether a process holds the run with the hash `hash` in `runs`.
    ///
    /// # Errors
    /// If a file of the lock exists and cannot be read.
    pub fn is_held(runs: &Path, hash: &str) -> Result<bool, StorageError> {
        Lease::is_held(&folder(runs, hash), Holder::of_process(), Terms::USUAL)
    }

    /// Checks that no other process has taken the run, and keeps others from it for the time of a write.
    ///
    /// # Errors
    /// [`TakenOver`] if one has; [`StorageError`] if a file of the lock cannot be written.
    pub fn confirm(&self) -> anyhow::Result<()> {
        self.lease.confirm()
    }

    /// The same by what is known already, without reading a file.
    ///
    /// # Errors
    /// [`TakenOver`] if another process was found to have taken the run.
    pub fn check(&self) -> Result<(), TakenOver> {
        self.lease.check()
    }
}

/// A run is locked by its hash, since two experiments' rows with different labels may be the same run.
fn folder(runs: &Path, hash: &str) -> PathBuf {
    runs.join(".locks").join(hash)
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
        held.as_ref().unwrap().confirm().unwrap();
        drop(held);
        assert!(!RunLock::is_held(runs.path(), "ab").unwrap());
        assert!(RunLock::take(runs.path(), "ab").unwrap().is_some());
    }
}
