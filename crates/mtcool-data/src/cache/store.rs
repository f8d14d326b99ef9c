//! The folder of all entries.

use std::path::{Path, PathBuf};

use super::entry::{Array, Cached, write_entry};
use super::fingerprint::fingerprints;
use super::key::CacheKey;
use crate::error::{Result, at};

/// A folder of entries. Several processes may share it.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in `folder`, which is made when it is first needed. All files in it may be deleted at any time.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The entry under `key`; `make` makes its arrays if there is no entry yet, or only a damaged one.
    ///
    /// # Errors
    /// Those of `make`, or if the folder cannot be written.
    pub fn entry(&self, key: &CacheKey, make: impl Fn() -> Result<Vec<Array>> + Sync) -> Result<Cached> {
        self.entry_of(key, 1, |_| make())
    }

    /// As [`Self::entry`], for an entry of `count` parts with their arrays one after the other: `make` makes part after part,
    /// several at a time, and only that many are in memory at once.
    ///
    /// # Errors
    /// One of the errors of `make`, or if the folder cannot be written.
    pub fn entry_of(
        &self,
        key: &CacheKey,
        count: usize,
        make: impl Fn(usize) -> Result<Vec<Array>> + Sync,
    ) -> Result<Cached> {
        let name = key.name();
        let path = self.folder.join(&name);
        if path.exists() {
            match Cached::open(&path, &name)? {
                Ok(entry) => return Ok(entry),
                Err(reason) => {
                    tracing::warn!(entry = %path.display(), reason, "the cache entry is damaged and is made again")
                }
            }
        }
        write_entry(&path, name.clone(), count, make)?;
        Cached::open(&path, &name)?.map_err(|reason| at(&path)(std::io::Error::other(reason)))
    }

    /// SHA-256 of each of `files`, in their order. A file is not read if its length and the time of its last change are those
    /// of an earlier call: some sets are too large to be read before every training.
    ///
    /// # Errors
    /// If one cannot be read, or the folder cannot be written.
    pub fn checksums(&self, files: &[&Path]) -> Result<Vec<String>> {
        fingerprints(&self.folder, files)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::entry::{ALIGNMENT, check};
    use super::*;
    use crate::error::Error;

    fn arrays(fill: u8) -> Vec<Array> {
        vec![
            Array { shape: vec![2, 3, 5], bytes: vec![fill; 30] },
            Array { shape: vec![], bytes: vec![fill + 1] },
            Array { shape: vec![7, 0], bytes: vec![] },
            Array { shape: vec![4], bytes: vec![fill + 2; 4] },
        ]
    }

    fn refused() -> Result<Vec<Array>> {
        Err(Error::LoaderGone)
    }

    fn holds(entry: &Cached, fill: u8) -> bool {
        entry.arrays() == 4
            && entry.shape(0) == [2, 3, 5]
            && entry.shape(2) == [7, 0]
            && entry.bytes(0) == [fill; 30]
            && entry.bytes(1) == [fill + 1]
            && entry.bytes(2).is_empty()
            && entry.bytes(3) == [fill + 2; 4]
            && (entry.bytes(3).as_ptr() as usize).is_multiple_of(ALIGNMENT)
    }

    #[test]
    fn an_entry_is_made_once_and_for_each_key() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("cache"));
        let key = |scale: u32| CacheKey::new("test").setting("scale", scale);
        assert!(holds(&cache.entry(&key(1), || Ok(arrays(5))).unwrap(), 5));
        assert!(holds(&cache.entry(&key(1), refused).unwrap(), 5));
        assert!(holds(&cache.entry(&key(2), || Ok(arrays(9))).unwrap(), 9));
        assert!(cache.entry(&key(3), refused).is_err());
        assert_eq!(std::fs::read_dir(folder.path().join("cache")).unwrap().count(), 2, "a failure leaves nothing");
    }

    #[test]
    fn a_damaged_entry_is_made_anew_while_its_old_map_stays() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let key = CacheKey::new("test");
        let name = key.name();
        let path = folder.path().join(&name);
        let first = cache.entry(&key, || Ok(arrays(5))).unwrap();
        let whole = std::fs::read(&path).unwrap();
        // Cut anywhere, or another byte anywhere: never a panic, never taken for whole.
        for length in 0..whole.len() {
            assert!(check(&whole[..length], &name).is_err(), "{length} bytes");
        }
        for place in 0..whole.len() {
            for value in [0, 255] {
                let mut changed = whole.clone();
                changed[place] = value;
                assert!(changed == whole || check(&changed, &name).is_err(), "byte {place}");
            }
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &whole[..100]).unwrap();
        assert!(holds(&cache.entry(&key, || Ok(arrays(7))).unwrap(), 7));
        assert!(holds(&first, 5), "the mapped file was changed");
    }

    #[test]
    fn bytes_that_do_not_fill_their_shape_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let wrong = || Ok(vec![Array { shape: vec![2, 2], bytes: vec![0; 3] }]);
        assert!(Cache::new(folder.path()).entry(&CacheKey::new("test"), wrong).is_err());
    }

    const COUNT: usize = 21;

    fn record(index: usize) -> Vec<u8> {
        (0..index * 7 % 40).map(|at| (index * 31 + at) as u8).collect()
    }

    /// Opens an entry of many parts; answers how many had to be made.
    fn open(cache: &Cache, key: &str) -> (Cached, usize) {
        let built = AtomicUsize::new(0);
        let entry = cache.entry_of(&CacheKey::new(key), COUNT, |index| {
            built.fetch_add(1, Ordering::Relaxed);
            Ok(vec![Array { shape: vec![record(index).len()], bytes: record(index) }])
        });
        let entry = entry.unwrap();
        assert_eq!(entry.arrays(), COUNT);
        (0..COUNT).for_each(|index| assert_eq!(entry.bytes(index), record(index), "record {index}"));
        (entry, built.into_inner())
    }

    /// A cache that nobody has used, and where the entry of `key` will lie.
    fn place(key: &str) -> (tempfile::TempDir, Cache, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("below");
        let path = below.join(CacheKey::new(key).name());
        (folder, Cache::new(below), path)
    }

    #[test]
    fn every_record_is_built_once_and_then_read() {
        let (_folder, cache, path) = place("a");
        assert_eq!(open(&cache, "a").1, COUNT);
        assert_eq!(open(&cache, "a").1, 0);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
        assert_eq!(open(&cache, "b").1, COUNT, "another key is other data");
        // An entry under the name of another one is not taken for it.
        std::fs::rename(path.with_file_name(CacheKey::new("b").name()), &path).unwrap();
        assert_eq!(open(&cache, "a").1, COUNT);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn the_file_is_the_same_for_any_number_of_threads() {
        let bytes = |threads| {
            let (_folder, cache, path) = place("a");
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| drop(open(&cache, "a")));
            std::fs::read(&path).unwrap()
        };
        assert_eq!(bytes(1), bytes(5));
    }

    #[test]
    fn any_damage_is_found_and_repaired_while_older_readers_keep_what_they_have() {
        let (_folder, cache, path) = place("a");
        let (reader, _) = open(&cache, "a");
        let whole = std::fs::read(&path).unwrap();
        let flipped = (0..whole.len()).step_by(13).map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            bytes
        });
        let cut = [0, 5, 15, 16, 17, whole.len() / 2, whole.len() - 1].map(|length| whole[..length].to_vec());
        for (nth, bytes) in flipped.chain(cut).chain([[&whole[..], b"x"].concat()]).enumerate() {
            // It becomes a new file, as it does if a copy is damaged.
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(open(&cache, "a").1, COUNT, "damage number {nth} went unnoticed");
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
        (0..COUNT).for_each(|index| assert_eq!(reader.bytes(index), record(index)));
    }

    #[test]
    fn an_error_leaves_no_file() {
        let (_folder, cache, path) = place("a");
        let failed = cache.entry_of(&CacheKey::new("a"), COUNT, |index| match index {
            13 => Err(Error::LoaderGone),
            _ => Ok(vec![Array { shape: vec![record(index).len()], bytes: record(index) }]),
        });
        assert!(matches!(failed, Err(Error::LoaderGone)));
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }
}
