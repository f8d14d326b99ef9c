//! A lease: the right of one process to write into a folder that several machines may share.
//!
//! The lease is a folder of files `1`, `2`, ...: its generations. Whoever writes a generation that was not there, and finds no
//! later one, holds the lease until it writes one that says that the lease is free. The holder writes the next generation every few
//! seconds, and before it writes anything else: this shows that it lives, and fails if another process has taken the lease.
//!
//! Processes of the same kernel, on the same mounted file system, see that a holder is gone, since the kernel releases its lock on
//! the file, unless that file system does not show locks. Others go by the age of the newest generation, by the file system's own
//! clock. One that is too old, or of the future because that clock jumped, is watched: if a living holder has not replaced it for two of
//! its intervals, the lease is taken.
//!
//! This relies on a file system where a file appears under its name completely and once (a rename or a link that fails if the name
//! is taken), where a process that adds a file to a folder then sees what others added before, and which dates files by one clock.
//! It does not rely on locks that reach other machines, nor on the machines' clocks. What it cannot prevent: a process that is
//! stopped, for longer than the limit, between its check and the end of a write completes this one write when it goes on.

mod generation;
mod holder;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use generation::{Generation, Standing, has_locks, remove_before, time_in};
pub(super) use holder::Holder;

use super::files::{StorageError, create_folder, write_whole};

/// The times of a lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// The holder writes the next generation after this time.
    pub(super) interval: Duration,
    /// A generation of another machine is in doubt if it is older than this.
    pub(super) limit: Duration,
    /// A generation in doubt that is still the newest after this time was left by a holder that is gone.
    pub(super) watch: Duration,
}

impl Terms {
    /// The times for folders that machines share.
    pub(super) const USUAL: Self =
        Self { interval: Duration::from_secs(5), limit: Duration::from_secs(60), watch: Duration::from_secs(12) };
}

/// Another process has taken the lease, since this one did not renew it in time. This process must not write any more.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} has taken over: this process did not show for {} s that it was alive; it leaves the work to the other one",
    by(.folder), .limit.as_secs()
)]
pub struct TakenOver {
    folder: PathBuf,
    limit: Duration,
}

/// Who holds the lease in `folder`, for messages.
fn by(folder: &Path) -> String {
    let newest = Generation::newest(folder).ok().flatten();
    newest.and_then(|newest| newest.holder()).map_or_else(|| "another process".into(), |holder| holder.to_string())
}

/// A lease that this process holds until it is dropped.
pub(super) struct Lease {
    shared: Arc<Shared>,
    /// The thread that renews the lease, and what ends it.
    heart: Option<(Sender<()>, JoinHandle<()>)>,
}

/// What a lease shares with the thread that renews it.
struct Shared {
    folder: PathBuf,
    holder: Holder,
    terms: Terms,
    /// The number and the locked file of the newest generation; `None` if another process has taken the lease.
    own: Mutex<Option<(u64, File)>>,
}

impl Lease {
    /// Takes the lease in `folder`, which is created, for `holder`; `None` if another process holds it.
    ///
    /// # Errors
    /// If a file in the folder cannot be read or written.
    pub(super) fn take(folder: &Path, holder: Holder, terms: Terms) -> Result<Option<Self>, StorageError> {
        create_folder(folder)?;
        let holder = holder.on_volume_of(folder);
        let newest = Generation::newest(folder)?;
        if let Some(newest) = &newest {
            match newest.standing(&holder, terms.limit, || time_in(folder))? {
                Standing::Free => {}
                Standing::Held => return Ok(None),
                Standing::Old | Standing::OfFuture => {
                    std::thread::sleep(terms.watch);
                    if Generation::newest(folder)?.is_none_or(|now| now.number != newest.number) {
                        return Ok(None);
                    }
                }
            }
        }
        let holder = Holder { is_locked: has_locks(folder), ..holder };
        let number = newest.map_or(1, |newest| newest.number + 1);
        let Some(file) = Generation::write(folder, number, &holder, terms.limit)? else { return Ok(None) };
        let own = Mutex::new(Some((number, file)));
        let shared = Arc::new(Shared { folder: folder.to_owned(), holder, terms, own });
        let heart = beat(&shared).map_err(|error| StorageError::new("renew the lease in", folder, error))?;
        Ok(Some(Self { shared, heart: Some(heart) }))
    }

    /// Whether a process holds the lease in `folder`, as far as `asking` can tell without writing.
    ///
    /// # Errors
    /// If a file in the folder cannot be read.
    pub(super) fn is_held(folder: &Path, asking: Holder, terms: Terms) -> Result<bool, StorageError> {
        let Some(newest) = Generation::newest(folder)? else { return Ok(false) };
        // The clock of this machine may be behind that of the file system.
        let standing = newest.standing(&asking.on_volume_of(folder), terms.limit, || Ok(SystemTime::now()))?;
        Ok(matches!(standing, Standing::Held | Standing::OfFuture))
    }

    /// Renews the lease, after which nobody else takes it for the time of its limit.
    ///
    /// # Errors
    /// [`TakenOver`] if another process has taken it, [`StorageError`] if it cannot be renewed.
    pub(super) fn confirm(&self) -> anyhow::Result<()> {
        self.shared.renew()?;
        Ok(self.check()?)
    }

    /// Checks that nobody was found to have taken the lease, without reading a file.
    ///
    /// # Errors
    /// [`TakenOver`] if somebody was.
    pub(super) fn check(&self) -> Result<(), TakenOver> {
        match *self.shared.own() {
            Some(_) => Ok(()),
            None => Err(TakenOver { folder: self.shared.folder.clone(), limit: self.shared.terms.limit }),
        }
    }
}

impl Shared {
    fn own(&self) -> MutexGuard<'_, Option<(u64, File)>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the next generation. Returns whether the lease is still held.
    fn renew(&self) -> Result<bool, StorageError> {
        let mut own = self.own();
        let Some((number, _)) = *own else { return Ok(false) };
        let next = number + 1;
        *own = Generation::write(&self.folder, next, &self.holder, self.terms.limit)?.map(|file| (next, file));
        Ok(own.is_some())
    }
}

/// Starts the thread that renews a lease until it is told to end, or the lease is lost.
fn beat(shared: &Arc<Shared>) -> std::io::Result<(Sender<()>, JoinHandle<()>)> {
    let (stop, stopped) = channel::<()>();
    let shared = Arc::clone(shared);
    let thread = std::thread::Builder::new().name("lease".into()).spawn(move || {
        // An error, such as a full disk, may be gone at the next beat; what the process writes itself tells it.
        while stopped.recv_timeout(shared.terms.interval) == Err(RecvTimeoutError::Timeout)
            && !matches!(shared.renew(), Ok(false))
        {}
    })?;
    Ok((stop, thread))
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.heart.take() {
            drop(stop);
            let _ = thread.join();
        }
        if let Some((number, _)) = *self.shared.own() {
            let free = Holder { is_released: true, ..self.shared.holder.clone() };
            // If it fails, the lease ends with the lock on its file, or by its age.
            let content = serde_json::to_vec(&free).unwrap_or_default();
            if write_whole(&self.shared.folder.join(number.to_string()), &content).is_ok() {
                remove_before(&self.shared.folder, number);
            }
        }
    }
}

#[cfg(test)]
mod tests;
