//! Checksums of files without reading them again: each is remembered with the file's identity and the times of its last changes.
//!
//! This is for sets of gigabytes, where reading all files before every training would cost minutes. The system sets the time of
//! the last change of a file's state itself, and no program can set it back, so that a file which was replaced or written is
//! always read again, even if it has the old length and its time was set back. Where the system has no such time, every file
//! is read.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Result, at};
use crate::files::{sha256_of, write_whole};

/// In the cache's folder; may be deleted at any time. Its name changes with its content.
const FILE: &str = "fingerprints-2.json";
/// Two changes of a file within this time may have the same time stamp: the clock of file systems ticks at least this often.
const TICK: Duration = Duration::from_millis(20);

/// A file as it was when it was last read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Fingerprint {
    state: FileState,
    sha256: String,
}

/// What differs whenever a file was replaced or written. Times are seconds since 1970 and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileState {
    length: u64,
    /// The last change of the content, which programs may set to any time.
    modified: [i64; 2],
    /// The last change of content or state, which only the system sets.
    changed: [i64; 2],
    device: u64,
    inode: u64,
}

impl FileState {
    /// The state that `metadata` tells; `None` if the system does not tell enough.
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;

        Some(Self {
            length: metadata.len(),
            modified: [metadata.mtime(), metadata.mtime_nsec()],
            changed: [metadata.ctime(), metadata.ctime_nsec()],
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    /// The state that `metadata` tells; `None` if the system does not tell enough.
    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Option<Self> {
        None
    }

    /// How long ago the state changed for the last time; zero if that lies in the future.
    fn age(&self) -> Duration {
        let [seconds, nanoseconds] = self.changed.map(|part| u64::try_from(part).unwrap_or(0));
        let since = Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanoseconds));
        UNIX_EPOCH.checked_add(since).and_then(|changed| changed.elapsed().ok()).unwrap_or_default()
    }
}

/// SHA-256 of every one of `files`, in their order. Those that have not changed since an earlier call with the same `folder`
/// are not read.
///
/// # Errors
/// If a file cannot be read, or `folder` cannot be written.
pub(crate) fn fingerprints(folder: &Path, files: &[&Path]) -> Result<Vec<String>> {
    let store = folder.join(FILE);
    // A damaged store counts as empty.
    let known: BTreeMap<PathBuf, Fingerprint> =
        std::fs::read(&store).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let current = files.par_iter().map(|&file| {
        let path = file.canonicalize().map_err(at(file))?;
        let Some(state) = FileState::of(&path.metadata().map_err(at(file))?) else {
            return Ok((path, None, sha256_of(file)?));
        };
        if let Some(known) = known.get(&path).filter(|known| known.state == state) {
            return Ok((path, Some(state), known.sha256.clone()));
        }
        // From here on, any change of the file gets another time stamp.
        std::thread::sleep(TICK.saturating_sub(state.age()));
        let sha256 = sha256_of(file)?;
        // A file that was written meanwhile may have been read in two states.
        let is_same = path.metadata().ok().and_then(|metadata| FileState::of(&metadata)) == Some(state);
        Ok((path, is_same.then_some(state), sha256))
    });
    let current: Vec<(PathBuf, Option<FileState>, String)> = current.collect::<Result<_>>()?;
    let checksums = current.iter().map(|(_, _, sha256)| sha256.clone()).collect();
    let mut all = known.clone();
    for (path, state, sha256) in current {
        match state {
            Some(state) => drop(all.insert(path, Fingerprint { state, sha256 })),
            None => drop(all.remove(&path)),
        }
    }
    if all != known {
        let text = serde_json::to_vec(&all).map_err(|error| at(&store)(error.into()))?;
        write_whole(&store, &text)?;
    }
    Ok(checksums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::sha256;

    #[test]
    fn unchanged_files_are_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        let cache = folder.path().join("cache");
        std::fs::write(&a, b"one").unwrap();
        std::fs::write(&b, b"two").unwrap();
        let read = || fingerprints(&cache, &[&a, &b]).unwrap();
        assert_eq!(read(), [sha256(b"one"), sha256(b"two")]);

        // What the store says is believed as long as the file is the same.
        let store = cache.join(FILE);
        let text = std::fs::read_to_string(&store).unwrap();
        std::fs::write(&store, text.replace(&sha256(b"one"), "remembered")).unwrap();
        let is_remembered = FileState::of(&a.metadata().unwrap()).is_some();
        assert_eq!(read()[0], if is_remembered { "remembered".to_owned() } else { sha256(b"one") });
        std::fs::write(&b, b"three").unwrap();
        assert_eq!(read()[1], sha256(b"three"));

        std::fs::write(cache.join(FILE), b"{").unwrap();
        assert_eq!(read()[0], sha256(b"one"));
        std::fs::remove_file(&a).unwrap();
        assert!(fingerprints(&cache, &[&a]).unwrap_err().to_string().contains('a'));
    }

    #[test]
    fn a_file_of_the_same_length_and_time_is_noticed_whether_written_or_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other, cache) = (folder.path().join("a"), folder.path().join("b"), folder.path().join("cache"));
        let read = || fingerprints(&cache, &[&file]).unwrap().remove(0);
        std::fs::write(&file, b"one").unwrap();
        let time = std::fs::metadata(&file).unwrap().modified().unwrap();
        let set_back =
            |path: &Path| std::fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
        assert_eq!(read(), sha256(b"one"));
        std::fs::write(&file, b"ONE").unwrap();
        set_back(&file);
        assert_eq!(read(), sha256(b"ONE"));
        std::fs::write(&other, b"two").unwrap();
        set_back(&other);
        std::fs::rename(&other, &file).unwrap();
        assert_eq!(read(), sha256(b"two"));
    }

    #[test]
    fn a_change_right_after_the_reading_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, cache) = (folder.path().join("a"), folder.path().join("cache"));
        for round in 0..20u8 {
            std::fs::write(&file, [round; 3]).unwrap();
            assert_eq!(fingerprints(&cache, &[&file]).unwrap(), [sha256(&[round; 3])]);
            // Also where the file system's clock ticks slowly.
            let age = std::fs::metadata(&file).unwrap().modified().unwrap().elapsed().unwrap();
            assert!(age >= TICK, "a change now could bear the same time: {age:?}");
        }
    }
}
