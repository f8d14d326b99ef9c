//! The file of an entry: how arrays are written, checked and mapped.
//!
//! Layout: the arrays, each filled up with zeros to a multiple of 64 bytes; a table of their shapes and checksums; the table's
//! length, its checksum and a magic number.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Result, at};
use crate::files::{sha256, write_whole_with};

/// The last bytes of every entry; they change with the layout.
const MAGIC: &[u8; 8] = b"mtcache2";
/// Arrays start at multiples of this number of bytes.
pub(super) const ALIGNMENT: usize = 64;
/// Bytes of a SHA-256.
const CHECKSUM: usize = 32;
/// Bytes of the table's length, its checksum and the magic number.
const TAIL: usize = 8 + CHECKSUM + MAGIC.len();

/// An array of bytes to store.
pub struct Array {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// As many bytes as the product of the dimensions.
    pub bytes: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct EntryTable {
    /// The entry's name: a file under another name is not this entry.
    name: String,
    arrays: Vec<ArrayEntry>,
}

#[derive(Serialize, Deserialize)]
struct ArrayEntry {
    shape: Vec<usize>,
    /// Checksum of the array and the zeros after it.
    sha256: String,
}

/// How many bytes an array of `shape` has, without and with the zeros after it; `None` if the numbers overflow.
fn lengths(shape: &[usize]) -> Option<(usize, usize)> {
    let length = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side))?;
    Some((length, length.checked_next_multiple_of(ALIGNMENT)?))
}

/// Writes the entry `name` to `path`, its arrays made by `make`, part after part.
pub(super) fn write_entry(
    path: &Path,
    name: String,
    count: usize,
    make: impl Fn(usize) -> Result<Vec<Array>> + Sync,
) -> Result<()> {
    let at_a_time = 2 * rayon::current_num_threads();
    let padded = |Array { shape, mut bytes }: Array| match lengths(&shape) {
        Some((length, padded)) if length == bytes.len() => {
            bytes.resize(padded, 0);
            Ok((ArrayEntry { shape, sha256: sha256(&bytes) }, bytes))
        }
        _ => Err(at(path)(std::io::Error::other("an array's bytes are not those of its shape"))),
    };
    write_whole_with(path, |file| {
        let mut table = EntryTable { name, arrays: Vec::new() };
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

/// An entry whose arrays are mapped into memory.
pub struct Cached {
    map: Mmap,
    arrays: Vec<ArrayPlace>,
}

/// Shape and place of an array.
#[derive(Debug)]
pub(super) struct ArrayPlace {
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

    /// The entry `name` in `path`, or the reason why it is damaged.
    pub(super) fn open(path: &Path, name: &str) -> Result<Result<Self, &'static str>> {
        let file = File::open(path).map_err(at(path))?;
        if file.metadata().map_err(at(path))?.len() < TAIL as u64 {
            return Ok(Err("it is too short"));
        }
        // SAFETY: an entry is written under another name, renamed into place and never changed after that, so the mapped bytes do
        // not change. A file that is replaced or deleted stays alive as long as it is mapped.
        let map = unsafe { Mmap::map(&file) }.map_err(at(path))?;
        Ok(check(&map, name).map(|arrays| Self { map, arrays }))
    }
}

impl std::fmt::Debug for Cached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cached").field("arrays", &self.arrays()).field("bytes", &self.map.len()).finish()
    }
}

/// Shapes and places of the arrays if `bytes` are the whole and undamaged entry `name`, or else what is wrong with them.
pub(super) fn check(bytes: &[u8], name: &str) -> Result<Vec<ArrayPlace>, &'static str> {
    let rest = bytes.strip_suffix(MAGIC).ok_or("it does not end as an entry does")?;
    let (rest, checksum) = rest.split_last_chunk::<CHECKSUM>().ok_or("it is too short")?;
    let (rest, length) = rest.split_last_chunk::<8>().ok_or("it is too short")?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok();
    let start = length.and_then(|length| rest.len().checked_sub(length)).ok_or("its table is cut off")?;
    let (blocks, table) = rest.split_at(start);
    if Sha256::digest(table).as_slice() != checksum {
        return Err("the checksum of its table differs");
    }
    let table: EntryTable = serde_json::from_slice(table).map_err(|_| "its table is unreadable")?;
    if table.name != name {
        return Err("it belongs to other data");
    }
    let mut arrays = Vec::with_capacity(table.arrays.len());
    let mut to_check = Vec::with_capacity(table.arrays.len());
    let mut end = 0usize;
    for ArrayEntry { shape, sha256 } in table.arrays {
        let cut_off = "its arrays are cut off";
        let (length, padded) = lengths(&shape).ok_or(cut_off)?;
        let next = end.checked_add(padded).filter(|&next| next <= blocks.len()).ok_or(cut_off)?;
        arrays.push(ArrayPlace { shape, range: end..end + length });
        to_check.push((sha256, &blocks[end..next]));
        end = next;
    }
    if end != blocks.len() {
        return Err("it holds more than its arrays");
    }
    let is_whole = to_check.par_iter().all(|(expected, block)| sha256(block) == *expected);
    if is_whole { Ok(arrays) } else { Err("the checksum of an array differs") }
}
