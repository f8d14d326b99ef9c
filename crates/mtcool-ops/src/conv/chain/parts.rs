//! What a chain consists of, and what it keeps.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use candle_core::CpuStorage;

use crate::conv::transpose;
use crate::geometry::Geometry;
use crate::settings::{Conv2d, Norm};

/// One unit. `kernel` and `norm` are the places of its kernel, and of its weight and bias, in the parameters of the chain.
pub(super) struct Unit {
    pub(super) geometry: Geometry,
    pub(super) conv: Conv2d,
    pub(super) kernel: Range<usize>,
    pub(super) norm: Range<usize>,
}

impl Unit {
    /// How many more elements its kernel has than its output.
    pub(super) fn excess(&self) -> isize {
        let (batch, channels, height, width) = self.geometry.output_shape();
        self.kernel.len() as isize - (batch * channels * height * width) as isize
    }
}

pub(super) struct Chain {
    /// Channels of each of the joined maps.
    pub(super) parts: Vec<usize>,
    /// The transposed convolution of the second map; its parameters come first in those of the chain.
    pub(super) raise: Option<transpose::Sizes>,
    pub(super) units: Vec<Unit>,
    pub(super) norm: Norm,
    /// Where the forward pass keeps what the backward pass needs; `None` if there will be no backward pass.
    pub(super) kept: Option<Arc<OnceLock<Kept>>>,
}

/// What the backward pass needs: the output of each unit's convolution, and the moments of that output.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) maps: Vec<CpuStorage>,
    pub(super) moments: Vec<CpuStorage>,
}

impl Chain {
    pub(super) const NAME: &'static str = "conv-norm-chain";

    pub(super) fn last(&self) -> &Unit {
        &self.units[self.units.len() - 1]
    }
}
