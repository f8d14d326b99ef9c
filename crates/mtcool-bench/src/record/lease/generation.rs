//! The files of a lease: generation n is the file `n`, and the newest one tells who holds the lease.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use super::super::files::{StorageError, temporary_in};
use super::holder::Holder;

/// Number of generations that stay while a lease is held. Whoever lists the folder while files come and go finds one of them at
/// least.
const KEPT: u64 = 4;

/// A generation that was found in the folder of a lease.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    pub(super) number: u64,
    path: PathBuf,
}

/// What a generation says about the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The holder gave it back, or its process is gone.
    Free,
    /// The holder lives.
    Held,
    /// The holder is on another machine, and this generation is older than a living holder lets it become.
    Old,
    /// The holder is on another machine, and the clock has jumped back since it wrote this generation.
    OfFuture,
}

impl Generation {
    /// The newest generation in `folder`; `None` before the first.
    pub(super) fn newest(folder: &Path) -> Result<Option<Self>, StorageError> {
        Ok(files(folder)?
            .into_iter()
            .filter_map(|(path, number)| Some(Self { number: number?, path }))
            .max_by_key(|one| one.number))
    }

    /// Who wrote it; `None` if it is gone by now or unreadable.
    pub(super) fn holder(&self) -> Option<Holder> {
        serde_json::from_slice(&std::fs::read(&self.path).ok()?).ok()
    }

    /// What it says to `asking`; `now` tells the time by the clock of the file system, which also dated the generation.
    pub(super) fn standing(
        &self,
        asking: &Holder,
        limit: Duration,
        now: impl FnOnce() -> Result<SystemTime, StorageError>,
    ) -> Result<Standing, StorageError> {
        // The holder may replace it by the next generation at any moment.
        let is_gone =
            |error: &io::Error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::StaleNetworkFileHandle);
        let (holder, written, lock) = match self.examine() {
            Ok(found) => found,
            Err(error) if is_gone(&error) => return Ok(Standing::Held),
            Err(error) => return Err(StorageError::open(&self.path, error)),
        };
        if holder.as_ref().is_some_and(|holder| holder.is_released) {
            return Ok(Standing::Free);
        }
        if holder.is_some_and(|holder| holder.is_locked && holder.is_neighbour(asking)) {
            match lock.try_lock_shared() {
                Ok(()) => return Ok(Standing::Free),
                Err(TryLockError::WouldBlock) => return Ok(Standing::Held),
                Err(TryLockError::Error(_)) => {}
            }
        }
        Ok(match now()?.duration_since(written) {
            Ok(age) if age <= limit => Standing::Held,
            Ok(_) => Standing::Old,
            Err(_) => Standing::OfFuture,
        })
    }

    /// Who wrote it if that is readable, when, and the file.
    fn examine(&self) -> io::Result<(Option<Holder>, SystemTime, File)> {
        let mut file = File::open(&self.path)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        Ok((serde_json::from_slice(&content).ok(), file.metadata()?.modified()?, file))
    }

    /// Writes generation `number` of `holder`; `None` if another process has written this one or a later one. The returned file is
    /// locked where the file system has locks.
    pub(super) fn write(
        folder: &Path,
        number: u64,
        holder: &Holder,
        limit: Duration,
    ) -> Result<Option<File>, StorageError> {
        let path = folder.join(number.to_string());
        let failed = |error| StorageError::new("write", &path, error);
        let draft = draft(folder, holder).map_err(failed)?;
        let now = draft.as_file().metadata().and_then(|facts| facts.modified()).map_err(failed)?;
        let Some(file) = publish(draft, &path).map_err(failed)? else { return Ok(None) };
        // A generation is removed only when there is a later one, so a later one is here if this number was used before.
        let others = match files(folder) {
            Ok(others) if others.iter().all(|(_, other)| other.is_none_or(|other| other <= number)) => others,
            is_late_or_unknown => {
                remove(&path)?;
                return is_late_or_unknown.map(|_| None);
            }
        };
        let is_abandoned = |path: &Path| {
            let written = path.metadata().and_then(|facts| facts.modified());
            written.is_ok_and(|written| now.duration_since(written).is_ok_and(|age| age > limit))
        };
        for (path, other) in others {
            if other.is_some_and(|other| other + KEPT <= number) || other.is_none() && is_abandoned(&path) {
                // One that stays does no harm, and the next one tries again.
                let _ = remove(&path);
            }
        }
        Ok(Some(file))
    }
}

/// Removes the generations before `number`, the one that says that the lease is free.
pub(super) fn remove_before(folder: &Path, number: u64) {
    for older in number.saturating_sub(KEPT)..number {
        let _ = remove(&folder.join(older.to_string()));
    }
}

/// The present time by the clock of the file system in `folder`.
pub(super) fn time_in(folder: &Path) -> Result<SystemTime, StorageError> {
    let probe = || {
        let mut file = temporary_in(folder)?;
        file.write_all(b"?")?;
        file.as_file().metadata()?.modified()
    };
    probe().map_err(|error| StorageError::new("write into", folder, error))
}

/// Whether a lock on a file in `folder` is seen by others who open it under the name that it is given afterwards. Some file systems have
/// no locks, and some take two names of a file for two files.
pub(super) fn has_locks(folder: &Path) -> bool {
    let is_seen = || -> io::Result<bool> {
        let draft = temporary_in(folder)?;
        let path = draft.path().with_extension("lock");
        let is_locked = draft.as_file().try_lock().is_ok();
        let published = publish(draft, &path)?;
        let seen = published.is_some() && matches!(File::open(&path)?.try_lock_shared(), Err(TryLockError::WouldBlock));
        std::fs::remove_file(&path)?;
        Ok(is_locked && seen)
    };
    is_seen().unwrap_or(false)
}

/// A temporary file with the whole content of a generation, locked if its holder keeps it so.
fn draft(folder: &Path, holder: &Holder) -> io::Result<NamedTempFile> {
    let mut file = temporary_in(folder)?;
    let is_locked = holder.is_locked && file.as_file().try_lock().is_ok();
    let holder = Holder { is_locked, ..holder.clone() };
    file.write_all(&serde_json::to_vec(&holder)?)?;
    Ok(file)
}

/// Gives a temporary file its name; `None` if the name is taken. A hard link is refused by the server then, whereas some file systems
/// rename over the other file although they are asked not to; the rename is for those that have no hard links.
fn publish(draft: NamedTempFile, path: &Path) -> io::Result<Option<File>> {
    let error = match std::fs::hard_link(draft.path(), path) {
        Ok(()) => return Ok(Some(draft.into_file())),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
        Err(_) => match draft.persist_noclobber(path) {
            Ok(file) => return Ok(Some(file)),
            Err(error) => error.error,
        },
    };
    if error.kind() == ErrorKind::AlreadyExists { Ok(None) } else { Err(error) }
}

/// All files in `folder`, with the number of those that are generations.
fn files(folder: &Path) -> Result<Vec<(PathBuf, Option<u64>)>, StorageError> {
    let failed = |error| StorageError::new("read", folder, error);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let with_number = |entry: io::Result<std::fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.path(), entry.file_name().to_str().and_then(|name| name.parse().ok())))
    };
    entries.map(with_number).collect::<io::Result<_>>().map_err(failed)
}

/// Removes a file that another process may have removed.
fn remove(path: &Path) -> Result<(), StorageError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StorageError::new("remove", path, error)),
        _ => Ok(()),
    }
}
