//! Facts about a photograph's files that are stored beside its square, since the files are not decoded again.

use serde::{Deserialize, Serialize};

use super::codes::MaskCodes;
use crate::cache::Array;
use crate::error::{Result, at};

/// What is known of a photograph and its mask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// (height, width) of the upright photograph.
    pub(super) size: [usize; 2],
    /// SHA-256 of the upright photograph's pixels.
    pub(super) pixels: String,
    /// Whether red, green and blue are equal everywhere.
    pub(super) is_grey: bool,
    pub(super) turn: Turn,
    pub(super) codes: MaskCodes,
    pub(super) has_cup: bool,
    /// The pixels of each part of the mask that was left out.
    pub(super) specks: Vec<usize>,
}

/// How photograph and mask were turned because of the orientation that the photograph's file names (EXIF, 1 to 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Turn {
    /// The photograph is upright as it is stored.
    None,
    /// The photograph was turned; the mask has the size of the turned one only, and was left as it is.
    Photograph(u8),
    /// The photograph was turned; the mask would fit the stored one as well, and was left as it is.
    PhotographPerhaps(u8),
    /// The photograph was turned, and the mask, which fits the stored one only, as well.
    Both(u8),
}

impl Facts {
    /// The bytes for the cache.
    ///
    /// # Errors
    /// Never for any value of this type.
    pub(super) fn to_array(&self) -> Result<Array> {
        let bytes = serde_json::to_vec(self).map_err(|error| at("facts".as_ref())(error.into()))?;
        Ok(Array { shape: vec![bytes.len()], bytes })
    }

    /// The facts in the bytes of [`Self::to_array`], whose checksum the cache has verified.
    ///
    /// # Errors
    /// If they are no facts.
    pub(super) fn of(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| at("facts".as_ref())(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_back() {
        for turn in [Turn::None, Turn::Photograph(6), Turn::PhotographPerhaps(3), Turn::Both(8)] {
            let facts = Facts {
                size: [2056, 70_000],
                pixels: "a1".into(),
                is_grey: false,
                turn,
                codes: MaskCodes::OFFICIAL,
                has_cup: true,
                specks: vec![7, 1],
            };
            assert_eq!(Facts::of(&facts.to_array().unwrap().bytes).unwrap(), facts);
        }
    }
}
