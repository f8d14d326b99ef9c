//! How the photographs are cut.

use std::path::PathBuf;

use super::placement::CropPlacement;

/// How photographs are cut, and where the squares are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefugeConfig {
    /// Side of a crop, in pixels of the official photographs, at most 8192. Drawn photographs may be n times smaller: then it
    /// must be a multiple of n, and a crop has n times fewer pixels.
    pub crop: usize,
    /// Side of a crop as the network sees it, in pixels: the pixels that the crop has on these photographs, or a divisor of
    /// that number.
    pub side: usize,
    /// Where crops lie around the disc.
    pub placement: CropPlacement,
    /// Whether the same photograph may be there several times under different names.
    pub allows_copies: bool,
    /// Folder of the cached squares; may be deleted at any time.
    pub cache: PathBuf,
}
