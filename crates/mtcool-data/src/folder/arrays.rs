//! Pictures and masks as they are stored in the cache, in the size that batches are cut from.

use std::path::Path;

use super::config::FolderConfig;
use super::decode::decode;
use super::facts::checksums;
use super::mask::{MaskCoding, MaskPixels};
use super::pixels::Pixels;
use crate::cache::{Array, Cache, CacheKey, Cached};
use crate::error::{Error, Result, at};
use crate::progress::PhotographProgress;

/// Names what makes the cache entries and in which version; it changes when files are decoded in another way.
const KIND: &str = "folder 1";

/// Arrays of some cases, mapped from the cache.
#[derive(Debug)]
pub(super) struct Stored {
    entry: Cached,
    /// The array of each case; `None` if it has none.
    places: Vec<Option<usize>>,
    /// SHA-256 of the files of the cases that have an array.
    checksums: Vec<String>,
    /// The name of the entry, which follows from the contents of all files and the settings.
    pub(super) key: String,
}

impl Stored {
    /// The pictures `files` of all cases, decoded and brought into the size of the settings.
    ///
    /// # Errors
    /// If a file is no such picture, or the cache cannot be written.
    pub(super) fn pictures(
        cache: &Cache,
        config: &FolderConfig,
        files: &[Option<&Path>],
        progress: &PhotographProgress<'_>,
    ) -> Result<Self> {
        let FolderConfig { channels, .. } = config;
        let key = CacheKey::new(KIND).setting("role", "picture").setting("channels", channels);
        let key = with_size(key, config);
        Self::new(cache, key, files, progress, |bytes| {
            let Pixels { height, width, channels, is_deep, bytes } =
                config.stored_picture(decode(bytes)?.with_channels(*channels)?);
            let shape = [height, width, channels].into_iter().chain(is_deep.then_some(2)).collect();
            Ok(Array { shape, bytes })
        })
    }

    /// The classes of the masks `files` of all cases, in the size of the settings.
    ///
    /// # Errors
    /// If a file is no mask, or the cache cannot be written.
    pub(super) fn masks(
        cache: &Cache,
        config: &FolderConfig,
        coding: &MaskCoding,
        files: &[Option<&Path>],
        progress: &PhotographProgress<'_>,
    ) -> Result<Self> {
        let key = CacheKey::new(KIND).setting("role", "mask").setting("coding", format!("{coding:?}"));
        let key = with_size(key, config);
        Self::new(cache, key, files, progress, |bytes| {
            let mask = MaskPixels::new(decode(bytes)?)?;
            let (bytes, shape) = config.stored_classes(mask.classes(coding), [mask.height, mask.width]);
            Ok(Array { shape: shape.to_vec(), bytes })
        })
    }

    fn new(
        cache: &Cache,
        key: CacheKey,
        files: &[Option<&Path>],
        progress: &PhotographProgress<'_>,
        make: impl Fn(&[u8]) -> Result<Array, String> + Sync,
    ) -> Result<Self> {
        let existing: Vec<&Path> = files.iter().flatten().copied().collect();
        let checksums = checksums(cache, &existing)?;
        let key = checksums.iter().fold(key, |key, checksum| key.setting("file", checksum));
        let done = std::sync::atomic::AtomicUsize::new(0);
        let entry = cache.entry_of(&key, existing.len(), |index| {
            let file = existing[index];
            let bytes = std::fs::read(file).map_err(at(file))?;
            let array = make(&bytes).map_err(|got| Error::Corrupt {
                file: file.to_owned(),
                expected: "a whole picture".into(),
                got,
                remedy: "replace the file by an intact copy",
            })?;
            progress(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, existing.len());
            Ok(vec![array])
        })?;
        let mut next = 0..;
        let places = files.iter().map(|file| file.and_then(|_| next.next())).collect();
        Ok(Self { entry, places, checksums, key: key.name() })
    }

    /// Dimensions and bytes of the array of `case`.
    pub(super) fn of(&self, case: usize) -> Option<(&[usize], &[u8])> {
        let place = (*self.places.get(case)?)?;
        Some((self.entry.shape(place), self.entry.bytes(place)))
    }

    /// SHA-256 of the file of `case`.
    pub(super) fn checksum(&self, case: usize) -> Option<&str> {
        let place = (*self.places.get(case)?)?;
        self.checksums.get(place).map(String::as_str)
    }
}

/// `key` with everything that determines the sizes of the arrays.
fn with_size(key: CacheKey, config: &FolderConfig) -> CacheKey {
    let FolderConfig { fit, size, scale, .. } = config;
    let key = key.setting("fit", format!("{fit:?} {size:?}"));
    if *scale == 1.0 { key } else { key.setting("scale", scale) }
}
