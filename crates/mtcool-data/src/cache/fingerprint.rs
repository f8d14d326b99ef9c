//! Checksums of files without reading them again: each is remembered with the file's length and the time of its last change.
//!
//! This is for sets of gigabytes, where reading all files before every training would cost minutes. It does not notice a file
//! that was replaced by one of the same length if its time was then set back by hand; `verify` reads every file and does notice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Result, at};
use crate::files::{sha256_of, write_whole};

/// In the cache's folder; may be deleted at any time.
const FILE: &str = "fingerprints.json";
/// Two changes of a file within this time may have the same time stamp: the clock of file systems ticks at least this often.
const TICK: Duration = Duration::from_millis(20);

/// A file as it was when it was last read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Fingerprint {
    length: u64,
    /// Nanoseconds since 1970.
    modified: u128,
    sha256: String,
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
        let metadata = path.metadata().map_err(at(file))?;
        let time = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let modified = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let length = metadata.len();
        if let Some(known) = known.get(&path).filter(|known| (known.length, known.modified) == (length, modified)) {
            return Ok((path, known.clone()));
        }
        // From here on, any change of the file gets another time stamp.
        std::thread::sleep(TICK.saturating_sub(time.elapsed().unwrap_or_default()));
        let sha256 = sha256_of(file)?;
        Ok((path, Fingerprint { length, modified, sha256 }))
    });
    let current: Vec<(PathBuf, Fingerprint)> = current.collect::<Result<_>>()?;
    let checksums = current.iter().map(|(_, fingerprint)| fingerprint.sha256.clone()).collect();
    let mut all = known.clone();
    all.extend(current);
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
    fn only_changed_files_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        let cache = folder.path().join("cache");
        std::fs::write(&a, b"one").unwrap();
        std::fs::write(&b, b"two").unwrap();
        let read = || fingerprints(&cache, &[&a, &b]).unwrap();
        let first = read();
        assert_eq!(first, [sha256(b"one"), sha256(b"two")]);

        // The same length and time: taken for unchanged, so it cannot have been read.
        let time = std::fs::metadata(&a).unwrap().modified().unwrap();
        std::fs::write(&a, b"ONE").unwrap();
        std::fs::File::options().append(true).open(&a).unwrap().set_modified(time).unwrap();
        assert_eq!(read(), first);
        std::fs::write(&b, b"three").unwrap();
        assert_eq!(read(), [sha256(b"one"), sha256(b"three")]);

        std::fs::write(cache.join(FILE), b"{").unwrap();
        assert_eq!(read()[0], sha256(b"ONE"));
        std::fs::remove_file(&a).unwrap();
        assert!(fingerprints(&cache, &[&a]).unwrap_err().to_string().contains('a'));
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
