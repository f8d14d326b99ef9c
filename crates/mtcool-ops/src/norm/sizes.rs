//! Which elements are normalised together.

use crate::settings::Statistics;

/// The sizes of one normalisation.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) channels: usize,
    pub(super) pixels: usize,
    statistics: Statistics,
}

impl Sizes {
    pub(super) fn new(dims: &[usize], statistics: Statistics) -> Self {
        Self { batch: dims[0], channels: dims[1], pixels: dims[2..].iter().product(), statistics }
    }

    pub(super) fn sets(&self) -> usize {
        match self.statistics {
            Statistics::Group { groups } => self.batch * groups,
            Statistics::Batch => self.channels,
        }
    }

    /// The set that plane `plane` (sample by sample, channel by channel) belongs to.
    pub(super) fn set_of(&self, plane: usize) -> usize {
        match self.statistics {
            Statistics::Group { groups } => plane / (self.channels / groups),
            Statistics::Batch => plane % self.channels,
        }
    }

    pub(super) fn planes_of(&self, set: usize) -> Vec<usize> {
        match self.statistics {
            Statistics::Group { groups } => {
                let width = self.channels / groups;
                (set * width..(set + 1) * width).collect()
            }
            Statistics::Batch => (set..self.batch * self.channels).step_by(self.channels).collect(),
        }
    }

    /// Number of elements that are normalised together.
    pub(super) fn count(&self) -> usize {
        self.batch * self.channels * self.pixels / self.sets()
    }
}
