//! What a chain consists of, and what it keeps.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use candle_core::CpuStorage;

use crate::conv::transpose;
use crate::geometry::Geometry;
use crate::settings::{Conv2d, Norm};

/// One unit; its parameters lie at `kernel` and, weight and bias, at `norm` in those of the chain.
pub(super) struct Unit {
    pub(super) geometry: Geometry,
    pub(super) conv: Conv2d,
    pub(super) kernel: Range<usize>,
    pub(super) norm: Range<usize>,
}

pub(super) struct Chain {
    /// Channels of what lies side by side.
    pub(super) parts: Vec<usize>,
    /// The transposed convolution of the second map; its parameters come first in those of the chain.
    pub(super) raise: Option<transpose::Sizes>,
    pub(super) units: Vec<Unit>,
    pub(super) norm: Norm,
    /// If there will be a backward pass.
    pub(super) kept: Option<Arc<OnceLock<Kept>>>,
}

/// What the backward pass needs: of each unit, the convolution's output and its moments.
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
