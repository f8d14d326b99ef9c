//! Decoded data kept on disk, so that no epoch decodes a file twice: memory-mapped arrays under a key of contents and settings.
//!
//! An entry is a file that appears whole or not at all. It is checked when it is opened, and made anew if it is damaged.
//! Layout: the arrays, each filled up with zeros to a multiple of 64 bytes; a table of their shapes and checksums; the
//! table's length and checksum and a magic number.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Result, at};
use crate::files::{hex, sha256, write_whole_with};
use crate::fingerprint::fingerprints;

/// Closes every entry; a change of the layout changes it.
const MAGIC: &[u8; 8] = b"mtcache2";
/// Arrays start at multiples of it.
const ALIGNMENT: usize = 64;
/// Bytes of a SHA-256.
const CHECKSUM: usize = 32;
/// The table's length, its checksum and the magic number.
const TAIL: usize = 8 + CHECKSUM + MAGIC.len();

/// What an entry was made of: file contents and settings, one after the other, as one hash.
#[derive(Clone)]
pub struct CacheKey {
    kind: String,
    hash: Sha256,
}

impl CacheKey {
    /// A key of `kind`, which names what makes the entry and in which version.
    pub fn new(kind: &str) -> Self {
        let mut key = Self { kind: kind.to_owned(), hash: Sha256::new() };
        key.add(b"kind", kind.as_bytes());
        key
    }

    /// With a setting the entry follows from.
    pub fn setting(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.add(name.as_bytes(), value.to_string().as_bytes());
        self
    }

    /// With the content of `file`, whatever its name.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn file(mut self, role: &str, file: &Path) -> Result<Self> {
        self.add(role.as_bytes(), &std::fs::read(file).map_err(at(file))?);
        Ok(self)
    }

    /// Lengths go first, so that no two sequences of parts run together into the same bytes.
    fn add(&mut self, name: &[u8], value: &[u8]) {
        for part in [name, value] {
            self.hash.update((part.len() as u64).to_le_bytes());
            self.hash.update(part);
        }
    }

    /// The entry's file: a kind and a SHA-256 of everything else.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}.cache", self.kind.replace(' ', "-"), hex(self.hash.clone().finalize().as_slice()))
    }
}

/// An array of bytes, to be stored.
pub struct Array {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// As many as the dimensions' product.
    pub bytes: Vec<u8>,
}

/// A folder of entries. Several processes may share it.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// In `folder`, which is made when first needed. Whatever lies in it can be deleted at any time.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The entry under `key`; `make` is asked for its arrays if there is none yet, or none that is whole.
    ///
    /// # Errors
    /// Those of `make`, or if the folder cannot be written.
    pub fn entry(&self, key: &CacheKey, make: impl Fn() -> Result<Vec<Array>> + Sync) -> Result<Cached> {
        self.entry_of(key, 1, |_| make())
    }

    /// As [`Self::entry`], the arrays of `count` parts one after the other: `make` is asked for part after part, several at a
    /// time, and only that many are in memory at once.
    ///
    /// # Errors
    /// One of `make`'s, or if the folder cannot be written.
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
                Err(reason) => tracing::warn!(entry = %path.display(), reason, "damaged cache entry, made anew"),
            }
        }
        write(&path, name.clone(), count, make)?;
        Cached::open(&path, &name)?.map_err(|reason| at(&path)(std::io::Error::other(reason)))
    }

    /// SHA-256 of every one of `files`, in their order. Those whose length and time of the last change are what they were at an
    /// earlier call are not read: for sets too large to read them before every training.
    ///
    /// # Errors
    /// If one cannot be read, or the folder cannot be written.
    pub fn checksums(&self, files: &[&Path]) -> Result<Vec<String>> {
        fingerprints(&self.folder, files)
    }
}

#[derive(Serialize, Deserialize)]
struct Table {
    /// The entry's name: a renamed or copied entry is none.
    name: String,
    arrays: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    shape: Vec<usize>,
    /// Of the array and the zeros after it.
    sha256: String,
}

/// How many bytes an array of `shape` has, without and with the zeros after it; `None` if that overflows.
fn lengths(shape: &[usize]) -> Option<(usize, usize)> {
    let length = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side))?;
    Some((length, length.checked_next_multiple_of(ALIGNMENT)?))
}

fn write(path: &Path, name: String, count: usize, make: impl Fn(usize) -> Result<Vec<Array>> + Sync) -> Result<()> {
    let at_a_time = 2 * rayon::current_num_threads();
    let padded = |Array { shape, mut bytes }: Array| match lengths(&shape) {
        Some((length, padded)) if length == bytes.len() => {
            bytes.resize(padded, 0);
            Ok((Entry { shape, sha256: sha256(&bytes) }, bytes))
        }
        _ => Err(at(path)(std::io::Error::other("an array's bytes are not those of its shape"))),
    };
    write_whole_with(path, |file| {
        let mut table = Table { name, arrays: Vec::new() };
        for first in (0..count).step_by(at_a_time) {
            let made = (first..count.min(first + at_a_time)).into_par_iter();
            let made = made.map(|part| make(part)?.into_iter().map(padded).collect::<Result<Vec<_>>>());
            for (entry, bytes) in made.collect::<Result<Vec<_>>>()?.into_iter().flatten() {
                file.write_all(&bytes).map_err(at(path))?;
                table.arrays.push(entry);
            }
        }
        let text = serde_json::to_vec(&table).map_err(|error| at(path)(error.into()))?;
        let tail = [&text[..], &(text.len() as u64).to_le_bytes(), Sha256::digest(&text).as_slice(), MAGIC].concat();
        file.write_all(&tail).map_err(at(path))
    })
}

/// An entry, its arrays mapped into memory.
pub struct Cached {
    map: Mmap,
    arrays: Vec<Placed>,
}

/// Where an array lies.
struct Placed {
    shape: Vec<usize>,
    range: Range<usize>,
}

impl Cached {
    /// Array `index` of the entry.
    ///
    /// # Panics
    /// If it has no such array.
    pub fn bytes(&self, index: usize) -> &[u8] {
        &self.map[self.arrays[index].range.clone()]
    }

    /// Dimensions of array `index`.
    ///
    /// # Panics
    /// If it has no such array.
    pub fn shape(&self, index: usize) -> &[usize] {
        &self.arrays[index].shape
    }

    /// How many arrays it has.
    pub fn arrays(&self) -> usize {
        self.arrays.len()
    }

    /// The entry `name` in `path`, or why it is damaged.
    fn open(path: &Path, name: &str) -> Result<Result<Self, &'static str>> {
        let file = File::open(path).map_err(at(path))?;
        if file.metadata().map_err(at(path))?.len() < TAIL as u64 {
            return Ok(Err("it is too short"));
        }
        // SAFETY: an entry is written under another name, renamed into place and never changed after that, so the mapped bytes
        // stay as they are. Replacing or deleting it leaves the mapped file alive.
        let map = unsafe { Mmap::map(&file) }.map_err(at(path))?;
        Ok(check(&map, name).map(|arrays| Self { map, arrays }))
    }
}

impl std::fmt::Debug for Cached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cached").field("arrays", &self.arrays()).field("bytes", &self.map.len()).finish()
    }
}

/// Shapes and places of the arrays if `bytes` are the whole and undamaged entry `name`, or why not.
fn check(bytes: &[u8], name: &str) -> Result<Vec<Placed>, &'static str> {
    let rest = bytes.strip_suffix(MAGIC).ok_or("it does not end as an entry does")?;
    let (rest, checksum) = rest.split_last_chunk::<CHECKSUM>().ok_or("it is too short")?;
    let (rest, length) = rest.split_last_chunk::<8>().ok_or("it is too short")?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok();
    let start = length.and_then(|length| rest.len().checked_sub(length)).ok_or("its table is cut off")?;
    let (blocks, table) = rest.split_at(start);
    if Sha256::digest(table).as_slice() != checksum {
        return Err("the checksum of its table differs");
    }
    let table: Table = serde_json::from_slice(table).map_err(|_| "its table is unreadable")?;
    if table.name != name {
        return Err("it belongs to other data");
    }
    let mut arrays = Vec::with_capacity(table.arrays.len());
    let mut to_check = Vec::with_capacity(table.arrays.len());
    let mut end = 0usize;
    for Entry { shape, sha256 } in table.arrays {
        let cut_off = "its arrays are cut off";
        let (length, padded) = lengths(&shape).ok_or(cut_off)?;
        let next = end.checked_add(padded).filter(|&next| next <= blocks.len()).ok_or(cut_off)?;
        arrays.push(Placed { shape, range: end..end + length });
        to_check.push((sha256, &blocks[end..next]));
        end = next;
    }
    if end != blocks.len() {
        return Err("it holds more than its arrays");
    }
    match to_check.par_iter().all(|(expected, block)| sha256(block) == *expected) {
        true => Ok(arrays),
        false => Err("the checksum of an array differs"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

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
    fn keys_follow_contents_and_settings_but_not_names_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let (a, same, other) = (write("a", "content"), write("b", "content"), write("c", "Content"));
        let key = |file: &Path| CacheKey::new("test").file("image", file).unwrap().name();
        assert_eq!(key(&a), key(&same));
        assert_ne!(key(&a), key(&other));
        let parts = |parts: &[(&str, &str)]| {
            parts.iter().fold(CacheKey::new("test"), |key, (name, value)| key.setting(name, value)).name()
        };
        assert_ne!(parts(&[("a", "b"), ("c", "d")]), parts(&[("a", "bc"), ("", "d")]));
        assert_ne!(parts(&[("a", "b"), ("c", "d")]), parts(&[("c", "d"), ("a", "b")]));
        assert!(CacheKey::new("test").file("image", &folder.path().join("none")).is_err());
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
            // A new file, as whoever damaged it by copying would make.
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
