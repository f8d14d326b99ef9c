//! Decoded data kept on disk, so that no epoch decodes a file twice: memory-mapped arrays under a key of contents and settings.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use sha2::{Digest, Sha256};

use crate::error::{Result, at};
use crate::files::hex;

/// Opens every entry; a change of the layout below changes it.
const MAGIC: &[u8; 8] = b"mtcache1";
/// Arrays start at multiples of it.
const ALIGNMENT: usize = 64;

/// What an entry was made of: file contents and settings, one after the other, as one hash.
#[derive(Clone)]
pub struct CacheKey {
    hash: Sha256,
}

impl CacheKey {
    /// A key of `kind`, which names what makes the entry and in which version.
    pub fn new(kind: &str) -> Self {
        let mut key = Self { hash: Sha256::new() };
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

    fn name(&self) -> String {
        hex(self.hash.clone().finalize().as_slice())
    }
}

/// An array of bytes, to be stored.
pub struct Array {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// As many as the dimensions' product.
    pub bytes: Vec<u8>,
}

/// A folder of entries. Several processes may share it: an entry appears whole or not at all.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// In `folder`, which is made when first needed. Whatever lies in it can be deleted at any time.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The entry under `key`; `make` is asked for its arrays if there is none yet, or none that can be read.
    ///
    /// # Errors
    /// Those of `make`, or if the folder cannot be written.
    pub fn entry(&self, key: &CacheKey, make: impl FnOnce() -> Result<Vec<Array>>) -> Result<Cached> {
        let path = self.folder.join(key.name());
        if path.exists() {
            match Cached::open(&path)? {
                Some(entry) => return Ok(entry),
                None => tracing::warn!(entry = %path.display(), "damaged cache entry, made anew"),
            }
        }
        std::fs::create_dir_all(&self.folder).map_err(at(&self.folder))?;
        let file = tempfile::NamedTempFile::new_in(&self.folder).map_err(at(&self.folder))?;
        write(file.as_file(), &make()?).map_err(at(&path))?;
        file.persist(&path).map_err(|error| at(&path)(error.error))?;
        Cached::open(&path)?.ok_or_else(|| at(&path)(std::io::Error::other("the entry changed while it was written")))
    }
}

/// Layout: magic, length of the file, number of arrays; for each its rank and dimensions (all u64, little-endian); the arrays,
/// each from the next multiple of [`ALIGNMENT`] on.
fn write(file: &File, arrays: &[Array]) -> std::io::Result<()> {
    let shapes: Vec<&[usize]> = arrays.iter().map(|array| &array.shape[..]).collect();
    let (ranges, length) = ranges(&shapes).ok_or_else(|| std::io::Error::other("an array too large"))?;
    let mut numbers = vec![length, arrays.len()];
    for array in arrays {
        numbers.push(array.shape.len());
        numbers.extend(&array.shape);
    }
    let mut out = BufWriter::new(file);
    out.write_all(MAGIC)?;
    for number in &numbers {
        out.write_all(&(*number as u64).to_le_bytes())?;
    }
    let mut written = MAGIC.len() + 8 * numbers.len();
    for (array, range) in arrays.iter().zip(ranges) {
        if array.bytes.len() != range.len() {
            return Err(std::io::Error::other("an array's bytes are not those of its shape"));
        }
        out.write_all(&vec![0; range.start - written])?;
        out.write_all(&array.bytes)?;
        written = range.end;
    }
    out.flush()?;
    drop(out);
    file.sync_all()
}

/// Where arrays of `shapes` lie, and where the last one ends; `None` if that overflows.
fn ranges(shapes: &[&[usize]]) -> Option<(Vec<Range<usize>>, usize)> {
    let header = shapes
        .iter()
        .try_fold(MAGIC.len() + 16, |sum, shape| sum.checked_add(8usize.checked_mul(shape.len().checked_add(1)?)?))?;
    let mut end = header;
    let mut ranges = Vec::with_capacity(shapes.len());
    for shape in shapes {
        let start = end.checked_next_multiple_of(ALIGNMENT)?;
        end = start.checked_add(shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side))?)?;
        ranges.push(start..end);
    }
    Some((ranges, end))
}

/// An entry, its arrays mapped into memory.
#[derive(Debug)]
pub struct Cached {
    map: Mmap,
    arrays: Vec<(Vec<usize>, Range<usize>)>,
}

impl Cached {
    /// Array `index` of the entry.
    ///
    /// # Panics
    /// If it has no such array.
    pub fn bytes(&self, index: usize) -> &[u8] {
        &self.map[self.arrays[index].1.clone()]
    }

    /// Dimensions of array `index`.
    ///
    /// # Panics
    /// If it has no such array.
    pub fn shape(&self, index: usize) -> &[usize] {
        &self.arrays[index].0
    }

    /// How many arrays it has.
    pub fn arrays(&self) -> usize {
        self.arrays.len()
    }

    /// `None` if the file is not a whole entry.
    fn open(path: &Path) -> Result<Option<Self>> {
        let file = File::open(path).map_err(at(path))?;
        // SAFETY: an entry is written under another name, renamed into place and never changed after that, so the mapped bytes
        // stay as they are. Replacing or deleting it leaves the mapped file alive.
        let map = unsafe { Mmap::map(&file) }.map_err(at(path))?;
        Ok(header(&map).map(|arrays| Self { map, arrays }))
    }
}

/// Shapes and places of the arrays, if the whole file is what its header says.
fn header(bytes: &[u8]) -> Option<Vec<(Vec<usize>, Range<usize>)>> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let mut numbers = rest.chunks_exact(8).map(|number| number.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b)));
    let mut next = || usize::try_from(numbers.next()?).ok();
    let (length, count) = (next()?, next()?);
    if length != bytes.len() || count > length {
        return None;
    }
    let mut shapes: Vec<Vec<usize>> = Vec::new();
    for _ in 0..count {
        let rank = next()?;
        if rank > length {
            return None;
        }
        shapes.push((0..rank).map(|_| next()).collect::<Option<_>>()?);
    }
    let borrowed: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
    let (ranges, end) = ranges(&borrowed)?;
    (end == bytes.len()).then(|| shapes.into_iter().zip(ranges).collect())
}

#[cfg(test)]
mod tests {
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
        let path = folder.path().join(key.name());
        let first = cache.entry(&key, || Ok(arrays(5))).unwrap();
        let whole = std::fs::read(&path).unwrap();
        // Cut anywhere, or another number in the header: never a panic, never taken for whole.
        for length in 0..whole.len() {
            assert!(header(&whole[..length]).is_none(), "{length} bytes");
        }
        for place in 0..72 {
            for value in [0, 255] {
                let mut changed = whole.clone();
                changed[place] = value;
                assert!(changed == whole || header(&changed).is_none_or(|arrays| arrays.len() <= 4), "byte {place}");
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
}
