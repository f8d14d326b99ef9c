//! One photograph at the scale of an experiment: its pixels, and what is known of each of them.

use super::config::HrfAvConfig;
use super::decode::{self, Decoded};
use super::layout::Layout;
use super::names::PhotographId;
use crate::augment::PixelView;
use crate::cache::{Cache, Cached};
use crate::error::Result;
use crate::files::sha256_of;

/// A decoded photograph whose pixels are mapped from the cache.
#[derive(Debug)]
pub struct Photograph {
    /// Which photograph it is.
    pub id: PhotographId,
    /// See [`Self::key`].
    key: String,
    /// SHA-256 of the content of its image file, in hexadecimal.
    pub image_sha256: String,
    /// Whether the binary truth comes from `manual1`.
    pub(super) has_vessels: bool,
    /// Array 0: the photograph `[H, W, 3]`; array 1: its marks `[H, W]`.
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
        Ok(Self { id, key: key.name(), image_sha256, has_vessels: files.vessels.is_some(), arrays })
    }

    /// The name of its cache entry, which follows from the content of its files and how they were loaded: equal names mean equal
    /// pixels and marks.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.arrays.shape(1)[0]
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.arrays.shape(1)[1]
    }

    /// Its pixels `[H, W, 3]`, red, green and blue.
    pub fn pixels(&self) -> PixelView<'_> {
        PixelView { bytes: self.arrays.bytes(0), height: self.height(), width: self.width() }
    }

    /// One [`Mark`](super::Mark) per pixel, `[H, W]`.
    pub fn marks(&self) -> PixelView<'_> {
        PixelView { bytes: self.arrays.bytes(1), height: self.height(), width: self.width() }
    }
}
