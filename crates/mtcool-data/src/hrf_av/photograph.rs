//! One photograph at the scale of an experiment: its pixels, and what is known of each of them.

use std::path::PathBuf;

use super::config::HrfAvConfig;
use super::decode::{self, Decoded};
use super::layout::Layout;
use super::names::{PhotographId, SetShape};
use crate::augment::PixelView;
use crate::cache::{Cache, Cached};
use crate::error::Result;
use crate::files::sha256_of;

/// A decoded photograph whose pixels are mapped from the cache.
#[derive(Debug)]
pub struct Photograph {
    /// Which photograph it is.
    pub id: PhotographId,
    /// Its image file.
    pub(super) file: PathBuf,
    /// See [`Self::key`].
    key: String,
    /// SHA-256 of the content of its image file, in hexadecimal.
    pub image_sha256: String,
    /// Whether the binary truth comes from `manual1`.
    pub(super) has_vessels: bool,
    /// Its files whose content is not that of the published ones; empty for sets of another shape.
    pub(super) unpublished: Vec<PathBuf>,
    /// Array 0: SHA-256 of its pixels, and whether it was turned; array 1: the photograph `[H, W, 3]`; array 2: its marks `[H, W]`.
    arrays: Cached,
}

impl Photograph {
    /// Loads the photograph `id` from `cache`, or from its files.
    ///
    /// # Errors
    /// [`Error::Defective`](crate::Error::Defective) if something is wrong with its files, other errors if the cache fails.
    pub(super) fn load(layout: &Layout, cache: &Cache, config: HrfAvConfig, id: PhotographId) -> Result<Self> {
        let defective = |findings| layout.defective(findings);
        let files = layout.files(id).map_err(defective)?;
        let size = config.shape.size;
        let key = match decode::key(layout, &files, size, config.scale) {
            Ok(key) => key,
            // The user who repairs these files should know of all others as well.
            Err(unreadable) => return Err(defective(Decoded::read(layout, &files, size).err().unwrap_or(unreadable))),
        };
        let make = || Decoded::read(layout, &files, size).map_err(defective)?.arrays(config.scale);
        let arrays = cache.entry(&key, make)?;
        let image_sha256 = sha256_of(&files.image)?;
        let unpublished = match config.shape {
            SetShape::OFFICIAL if !layout.is_drawn => files.unpublished(id),
            _ => Vec::new(),
        };
        let has_vessels = files.vessels.is_some();
        Ok(Self { id, file: files.image, key: key.name(), image_sha256, has_vessels, unpublished, arrays })
    }

    /// The name of its cache entry, which follows from the content of its files and how they were loaded: equal names mean equal
    /// pixels and marks.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// SHA-256 of the pixels of its file, whatever the scale and the format of the file.
    pub(super) fn pixels_sha256(&self) -> &[u8] {
        self.arrays.bytes(0).strip_suffix(b"*").unwrap_or(self.arrays.bytes(0))
    }

    /// Whether the photograph was turned because its file says so.
    pub(super) fn is_turned(&self) -> bool {
        self.arrays.bytes(0).ends_with(b"*")
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.arrays.shape(2)[0]
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.arrays.shape(2)[1]
    }

    /// Its pixels `[H, W, 3]`, red, green and blue.
    pub fn pixels(&self) -> PixelView<'_> {
        PixelView { bytes: self.arrays.bytes(1), height: self.height(), width: self.width() }
    }

    /// One [`Mark`](super::Mark) per pixel, `[H, W]`.
    pub fn marks(&self) -> PixelView<'_> {
        PixelView { bytes: self.arrays.bytes(2), height: self.height(), width: self.width() }
    }
}
