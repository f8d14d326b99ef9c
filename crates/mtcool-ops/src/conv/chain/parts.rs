//! What a chain consists of, and what it keeps.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, Result, bail};

use crate::conv::transpose;
use crate::element::Element;
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
    /// What the forward pass keeps for backward passes; `None` if there will be none.
    pub(super) kept: Option<Mutex<Vec<Kept>>>,
}

/// What the backward pass needs of a unit: the output of its convolution, and the moments of that output.
#[derive(Clone)]
pub(super) struct Kept {
    map: Arc<CpuStorage>,
    moments: Arc<CpuStorage>,
}

impl Kept {
    pub(super) fn new<T: Element>(map: Vec<T>, moments: &[(T, T)]) -> Self {
        let pairs = moments.iter().flat_map(|&(mean, inverse)| [mean, inverse]).collect();
        Self { map: Arc::new(T::to_cpu_storage_owned(map)), moments: Arc::new(T::to_cpu_storage_owned(pairs)) }
    }

    pub(super) fn map<T: Element>(&self) -> Result<&[T]> {
        self.map.as_slice::<T>()
    }

    pub(super) fn moments<T: Element>(&self) -> Result<Vec<(T, T)>> {
        Ok(self.moments.as_slice::<T>()?.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
    }

    /// The map, if nobody else has it; otherwise the whole as it was.
    pub(super) fn into_map<T: Element>(self) -> Result<std::result::Result<Vec<T>, Self>> {
        let Self { map, moments } = self;
        match Arc::try_unwrap(map) {
            Ok(map) => Ok(Ok(T::cpu_storage_data(map)?)),
            Err(map) => Ok(Err(Self { map, moments })),
        }
    }
}

impl Chain {
    pub(super) const NAME: &'static str = "conv-norm-chain";

    pub(super) fn last(&self) -> &Unit {
        &self.units[self.units.len() - 1]
    }

    /// Keeps a unit of the forward pass, if there will be a backward pass.
    pub(super) fn keep<T: Element>(&self, map: Vec<T>, moments: &[(T, T)]) {
        if let Some(kept) = &self.kept {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(Kept::new(map, moments));
        }
    }

    /// What is kept of all units: for the last backward pass the only references, so that each map can be used up.
    ///
    /// # Errors
    /// If nothing is kept, or the last backward pass has been.
    pub(super) fn kept(&self, is_last: bool) -> Result<Vec<Kept>> {
        let Some(kept) = &self.kept else {
            bail!("{}: the forward pass kept nothing, since no operand was tracked", Self::NAME)
        };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() != self.units.len() {
            bail!("{}: a further backward pass after the last one", Self::NAME);
        }
        Ok(if is_last { std::mem::take(&mut *kept) } else { kept.clone() })
    }
}
