//! The settings of a synthetic set: how many photographs, how large, and from what seed.

use serde::{Deserialize, Serialize};

use super::names::{Counts, RefugePart};
use crate::error::{Error, Result};

/// How many photographs to draw, how large, and from what seed. One of ten shows glaucoma, and at least one in each part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefugeSynthesis {
    /// Photographs of the training part, 2 to 9999.
    pub train: u32,
    /// Photographs of the validation part, 2 to 9999.
    pub validation: u32,
    /// Photographs of the test part, 2 to 9999.
    pub test: u32,
    /// How large they are.
    pub size: DrawnSize,
    /// Every photograph is a function of it and the photograph's index.
    pub seed: u64,
}

/// How large drawn photographs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrawnSize {
    /// The official size of each part, with both sides this many times shorter and cut to whole pixels: 1 to 17.
    Shrunk(usize),
    /// (height, width) of all photographs, independent of the official sizes.
    Fixed([usize; 2]),
}

/// The smallest side of a photograph: in a smaller one, a disc has no room for a rim.
const SMALLEST: usize = 96;
/// The largest reduction: the smaller official photographs have 1634 pixels.
const MOST_SHRUNK: usize = 1634 / SMALLEST;

impl RefugeSynthesis {
    /// Refuses settings for which nothing can be drawn.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] naming the first setting that is out of range.
    pub(super) fn check(&self) -> Result<()> {
        for (key, value) in [("train", self.train), ("validation", self.validation), ("test", self.test)] {
            if !(2..=9999).contains(&value) {
                return Err(Error::OutOfRange { key, value: value as usize, expected: "2 to 9999".into() });
            }
        }
        let out_of_range = |key, value, expected| Err(Error::OutOfRange { key, value, expected });
        match self.size {
            DrawnSize::Shrunk(shrink) if !(1..=MOST_SHRUNK).contains(&shrink) => {
                out_of_range("shrink", shrink, format!("1 to {MOST_SHRUNK}"))
            }
            DrawnSize::Shrunk(_) => Ok(()),
            DrawnSize::Fixed(sides) => match sides.into_iter().find(|side| !(SMALLEST..=16_384).contains(side)) {
                Some(side) => out_of_range("size", side, format!("{SMALLEST} to 16384 pixels")),
                None => Ok(()),
            },
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let glaucoma = tenth(self.train);
        Counts { glaucoma, healthy: self.train - glaucoma, validation: self.validation, test: self.test }
    }

    pub(super) fn size_of(&self, part: RefugePart) -> [usize; 2] {
        match self.size {
            DrawnSize::Shrunk(_) => part.official_size().map(|side| side / self.scale()),
            DrawnSize::Fixed(size) => size,
        }
    }

    /// How many times shorter sides are than the official ones; 1 if they are independent of them.
    pub(super) fn scale(&self) -> usize {
        match self.size {
            // A manifest may contain any number.
            DrawnSize::Shrunk(shrink) => shrink.max(1),
            DrawnSize::Fixed(_) => 1,
        }
    }
}

/// A tenth of `count`, rounded, and at least 1.
pub(super) fn tenth(count: u32) -> u32 {
    ((count + 5) / 10).max(1)
}
