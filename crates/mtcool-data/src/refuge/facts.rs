//! Facts about a photograph's files that are stored beside its square, since the files are not decoded again.

use super::mask::Coding;
use crate::cache::Array;

/// The size of a photograph and the coding of its mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// (height, width).
    pub(super) size: [usize; 2],
    pub(super) coding: Coding,
    pub(super) has_cup: bool,
}

/// The number that stands for the official coding; other codings are stored as the value of their background.
const OFFICIAL: u8 = 255;

impl Facts {
    /// The bytes for the cache: height and width with four bytes each, then coding and cup.
    pub(super) fn to_array(self) -> Array {
        let [height, width] = self.size.map(|side| (side as u32).to_le_bytes());
        let coding = match self.coding {
            Coding::Official => OFFICIAL,
            Coding::Indexed { background } => background,
        };
        let bytes = [&height[..], &width, &[coding, u8::from(self.has_cup)]].concat();
        Array { shape: vec![bytes.len()], bytes }
    }

    /// The facts in the bytes of [`Self::to_array`], whose checksum the cache has verified.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let number =
            |at: usize| bytes[at..at + 4].iter().rev().fold(0usize, |sum, &byte| (sum << 8) | usize::from(byte));
        let coding = match bytes[8] {
            OFFICIAL => Coding::Official,
            background => Coding::Indexed { background },
        };
        Self { size: [number(0), number(4)], coding, has_cup: bytes[9] != 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_back() {
        for coding in [Coding::Official, Coding::Indexed { background: 0 }, Coding::Indexed { background: 2 }] {
            let facts = Facts { size: [2056, 70_000], coding, has_cup: coding == Coding::Official };
            assert_eq!(Facts::of(&facts.to_array().bytes), facts);
        }
    }
}
