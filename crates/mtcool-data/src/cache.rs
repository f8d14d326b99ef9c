//! Decoded data on disk, memory-mapped, so that nothing is decoded twice.
//!
//! A cache file holds records back to back, then a table of their lengths and checksums, then the table's length and a magic
//! number. It belongs to a key (content and settings), appears whole or not at all, and is checked when it is opened: one that
//! is damaged is built again. It may be deleted at any time.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Result, at};
use crate::fingerprint::sha256_hex;
use crate::whole_file::write_whole_with;

const MAGIC: &[u8; 8] = b"mtcache1";
/// The table's length and the magic number.
const TAIL: usize = 16;

/// Records of bytes, read-only.
pub(crate) struct Cache {
    map: Mmap,
    records: Vec<Range<usize>>,
}

#[derive(Serialize, Deserialize)]
struct Table {
    key: String,
    records: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    length: usize,
    sha256: String,
}

impl Cache {
    /// The `count` records that belong to `key`: those in the file at `path`, if it is there and whole; otherwise `build` makes
    /// record by record, several at a time, and the file is written.
    ///
    /// # Errors
    /// The first error of `build`, or if the file cannot be written.
    pub(crate) fn open_or_build(
        path: &Path,
        key: &str,
        count: usize,
        build: impl Fn(usize) -> Result<Vec<u8>> + Sync,
    ) -> Result<Self> {
        if path.exists() {
            match Self::open(path, key, count)? {
                Ok(cache) => return Ok(cache),
                Err(reason) => tracing::warn!(cache = %path.display(), reason, "a damaged cache is built again"),
            }
        }
        Self::write(path, key, count, build)?;
        Self::open(path, key, count)?.map_err(|reason| at(path)(std::io::Error::other(reason)))
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Record `index`.
    pub(crate) fn record(&self, index: usize) -> &[u8] {
        &self.map[self.records[index].clone()]
    }

    /// The cache in `path`, or why it is damaged.
    fn open(path: &Path, key: &str, count: usize) -> Result<std::result::Result<Self, &'static str>> {
        let file = File::open(path).map_err(at(path))?;
        if file.metadata().map_err(at(path))?.len() < TAIL as u64 {
            return Ok(Err("it is too short"));
        }
        // SAFETY: the file was put in its place by renaming a finished one, and nobody writes to such a file afterwards: a new
        // cache is a new file. Whoever truncates it by hand while it is mapped ends the process, as with a swap file.
        let map = unsafe { Mmap::map(&file) }.map_err(at(path))?;
        Ok(Self::check(map, key, count))
    }

    fn check(map: Mmap, key: &str, count: usize) -> std::result::Result<Self, &'static str> {
        let (rest, magic) = map.split_at(map.len() - MAGIC.len());
        if magic != MAGIC {
            return Err("it does not end as a cache does");
        }
        let (rest, length) = rest.split_at(rest.len() - 8);
        let length = length.try_into().map_or(0, u64::from_le_bytes) as usize;
        let start = rest.len().checked_sub(length).ok_or("its table is cut off")?;
        let table: Table = serde_json::from_slice(&rest[start..]).map_err(|_| "its table is unreadable")?;
        if table.key != key || table.records.len() != count {
            return Err("it belongs to other data");
        }
        let mut end = 0usize;
        let ranges = table.records.iter().map(|entry| {
            let range = end..end.checked_add(entry.length)?;
            end = range.end;
            (range.end <= start).then_some(range)
        });
        let records: Vec<Range<usize>> = ranges.collect::<Option<_>>().ok_or("its records are cut off")?;
        if end != start {
            return Err("it holds more than its records");
        }
        let whole = table.records.par_iter().zip(&records);
        match whole.into_par_iter().all(|(entry, range)| sha256_hex(&map[range.clone()]) == entry.sha256) {
            true => Ok(Self { map, records }),
            false => Err("the checksum of a record differs"),
        }
    }

    fn write(path: &Path, key: &str, count: usize, build: impl Fn(usize) -> Result<Vec<u8>> + Sync) -> Result<()> {
        let at_a_time = 2 * rayon::current_num_threads();
        write_whole_with(path, |file| {
            let mut table = Table { key: key.to_owned(), records: Vec::new() };
            for first in (0..count).step_by(at_a_time) {
                let built = (first..count.min(first + at_a_time)).into_par_iter().map(|index| {
                    let record = build(index)?;
                    Ok((Entry { length: record.len(), sha256: sha256_hex(&record) }, record))
                });
                for (entry, record) in built.collect::<Result<Vec<_>>>()? {
                    file.write_all(&record).map_err(at(path))?;
                    table.records.push(entry);
                }
            }
            let text = serde_json::to_vec(&table).map_err(|error| at(path)(error.into()))?;
            let tail = [&text[..], &(text.len() as u64).to_le_bytes(), MAGIC].concat();
            file.write_all(&tail).map_err(at(path))
        })
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("records", &self.len()).field("bytes", &self.map.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Error;

    const COUNT: usize = 21;

    fn record(index: usize) -> Vec<u8> {
        (0..index * 7 % 40).map(|at| (index * 31 + at) as u8).collect()
    }

    /// Opens the cache; answers how many records had to be built.
    fn open(path: &Path, key: &str) -> (Cache, usize) {
        let built = AtomicUsize::new(0);
        let cache = Cache::open_or_build(path, key, COUNT, |index| {
            built.fetch_add(1, Ordering::Relaxed);
            Ok(record(index))
        });
        let cache = cache.unwrap();
        assert_eq!(cache.len(), COUNT);
        (0..COUNT).for_each(|index| assert_eq!(cache.record(index), record(index), "record {index}"));
        (cache, built.into_inner())
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below").join("test.cache");
        (folder, path)
    }

    #[test]
    fn every_record_is_built_once_and_then_read() {
        let (_folder, path) = place();
        assert_eq!(open(&path, "a").1, COUNT);
        assert_eq!(open(&path, "a").1, 0);
        assert_eq!(open(&path, "b").1, COUNT, "another key is other data");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn the_file_is_the_same_for_any_number_of_threads() {
        let bytes = |threads| {
            let (_folder, path) = place();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| drop(open(&path, "a")));
            std::fs::read(&path).unwrap()
        };
        assert_eq!(bytes(1), bytes(5));
    }

    #[test]
    fn any_damage_is_found_and_repaired_while_older_readers_keep_what_they_have() {
        let (_folder, path) = place();
        let (reader, _) = open(&path, "a");
        let whole = std::fs::read(&path).unwrap();
        let flipped = (0..whole.len()).step_by(13).map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            bytes
        });
        let cut = [0, 5, 15, 16, 17, whole.len() / 2, whole.len() - 1].map(|length| whole[..length].to_vec());
        for (nth, bytes) in flipped.chain(cut).chain([[&whole[..], b"x"].concat()]).enumerate() {
            // A new file, as whoever damaged it by copying would make.
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(open(&path, "a").1, COUNT, "damage number {nth} went unnoticed");
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
        (0..COUNT).for_each(|index| assert_eq!(reader.record(index), record(index)));
    }

    #[test]
    fn an_error_leaves_no_file() {
        let (_folder, path) = place();
        let failed = Cache::open_or_build(&path, "a", COUNT, |index| match index {
            13 => Err(Error::LoaderGone),
            _ => Ok(record(index)),
        });
        assert!(matches!(failed, Err(Error::LoaderGone)));
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }
}
