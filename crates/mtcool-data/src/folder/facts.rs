//! What is known of each file without decoding it again: size, depth, sums, the values of a mask. Kept in the cache.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::decode::decode;
use super::mask::MaskPixels;
use super::value::MaskValue;
use crate::cache::{Array, Cache, CacheKey};
use crate::error::{Error, Result, at};
use crate::picture::pixels_sha256;
use crate::progress::PhotographProgress;

/// Names what makes the cache entries and in which version; it changes when files are examined in another way.
const KIND: &str = "folder-facts 3";

/// What is known of a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PictureFacts {
    pub(super) height: usize,
    pub(super) width: usize,
    /// Channels of the file, without alpha.
    pub(super) channels: usize,
    /// Value of white.
    pub(super) white: u16,
    /// The largest value of the channels of the network's input.
    pub(super) most: u16,
    /// Sum and sum of squares of each channel of the network's input.
    pub(super) sums: Vec<[u64; 2]>,
    /// SHA-256 of size and pixels, which is the same for copies in other formats without losses.
    pub(super) pixels: String,
}

/// What is known of a mask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MaskFacts {
    pub(super) height: usize,
    pub(super) width: usize,
    /// How often each value occurs.
    pub(super) counts: BTreeMap<MaskValue, u64>,
}

/// The facts of each of `files`, or why it cannot be used.
///
/// # Errors
/// If the cache cannot be written.
pub(super) fn picture_facts(
    cache: &Cache,
    files: &[&Path],
    channels: usize,
    progress: &PhotographProgress<'_>,
) -> Result<Vec<Result<PictureFacts, String>>> {
    let key = CacheKey::new(KIND).setting("role", "picture").setting("channels", channels);
    facts(cache, key, files, progress, |bytes| {
        let decoded = decode(bytes)?;
        let has = decoded.pixels.channels - usize::from(decoded.has_alpha && decoded.pixels.channels != channels);
        let pixels = decoded.with_channels(channels)?;
        let mut sums = vec![[0; 2]; channels];
        let mut most = 0;
        for pixel in 0..pixels.height * pixels.width {
            for (channel, sums) in sums.iter_mut().enumerate() {
                let sample = pixels.sample(pixel, channel);
                most = most.max(sample);
                let sample = u64::from(sample);
                sums[0] += sample;
                sums[1] += sample * sample;
            }
        }
        Ok(PictureFacts {
            height: pixels.height,
            width: pixels.width,
            channels: has,
            white: pixels.white(),
            most,
            sums,
            pixels: pixels_sha256([pixels.height, pixels.width, pixels.channels], &pixels.bytes),
        })
    })
}

/// The facts of each of `files`, or why it cannot be used.
///
/// # Errors
/// If the cache cannot be written.
pub(super) fn mask_facts(
    cache: &Cache,
    files: &[&Path],
    progress: &PhotographProgress<'_>,
) -> Result<Vec<Result<MaskFacts, String>>> {
    facts(cache, CacheKey::new(KIND).setting("role", "mask"), files, progress, |bytes| {
        let mask = MaskPixels::new(decode(bytes)?)?;
        Ok(MaskFacts { height: mask.height, width: mask.width, counts: mask.counts()? })
    })
}

fn facts<T: Serialize + for<'de> Deserialize<'de>>(
    cache: &Cache,
    key: CacheKey,
    files: &[&Path],
    progress: &PhotographProgress<'_>,
    examine: impl Fn(&[u8]) -> Result<T, String> + Sync,
) -> Result<Vec<Result<T, String>>> {
    let key = checksums(cache, files)?.iter().fold(key, |key, checksum| key.setting("file", checksum));
    let done = std::sync::atomic::AtomicUsize::new(0);
    let entry = cache.entry_of(&key, files.len(), |index| {
        let facts = std::fs::read(files[index]).map_err(|error| error.to_string()).and_then(|bytes| examine(&bytes));
        let bytes = serde_json::to_vec(&facts).map_err(|error| at(files[index])(error.into()))?;
        progress(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, files.len());
        Ok(vec![Array { shape: vec![bytes.len()], bytes }])
    })?;
    let read =
        |index: usize| serde_json::from_slice(entry.bytes(index)).map_err(|error| at(files[index])(error.into()));
    (0..entry.arrays()).map(read).collect()
}

/// SHA-256 of each file. A file that cannot be read has none; the error is told when it is examined.
pub(super) fn checksums(cache: &Cache, files: &[&Path]) -> Result<Vec<String>> {
    match cache.checksums(files) {
        Ok(checksums) => Ok(checksums),
        Err(Error::Io { .. }) => {
            let one = |file: &&Path| {
                cache.checksums(&[*file]).map_or_else(|error| error.to_string(), |mut one| one.remove(0))
            };
            Ok(files.iter().map(one).collect())
        }
        Err(error) => Err(error),
    }
}
