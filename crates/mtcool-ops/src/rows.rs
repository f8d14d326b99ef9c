//! Which output rows of a kernel receive a gradient.

use std::ops::Range;

/// The rows (output channels) of a kernel whose gradient is computed.
///
/// In a cooperative layer each task owns some rows. While one task trains, the rows of the others are constants, and
/// their weight gradients, which are a third of the work of a layer, are not computed. Rows outside the range get a
/// gradient of exactly zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Rows {
    /// Every row trains.
    #[default]
    All,
    /// Only these rows train.
    Only(Range<usize>),
}

impl Rows {
    /// The trained range of a kernel of `count` rows, cut to its size.
    pub(crate) fn range(&self, count: usize) -> Range<usize> {
        match self {
            Rows::All => 0..count,
            Rows::Only(range) => range.start.min(range.end).min(count)..range.end.min(count),
        }
    }
}
