//! A second way for gradients to reach the leaves: past candle's graph.
//!
//! A network may run a backward pass of its own, faster than candle's over the same operations. It hangs its outputs on the
//! [`Handover::anchor`], so that candle's backward pass comes by, and gives the leaves' gradients to [`Handover::give`].
//! [`Parameters::backward`](crate::Parameters::backward) adds up what came either way.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Tensor, TensorId, Var};

use crate::error::Result;

/// Where a network leaves gradients of the leaves of one [`Parameters::track`](crate::Parameters::track).
#[derive(Clone, Debug)]
pub struct Handover {
    anchor: Tensor,
    given: Arc<Mutex<Vec<(TensorId, Tensor)>>>,
}

impl Handover {
    pub(crate) fn new(device: &Device) -> Result<Self> {
        Ok(Self { anchor: Var::zeros(1, DType::F32, device)?.into_inner(), given: Arc::default() })
    }

    /// A variable of one element that has no other purpose than to be in the graph.
    pub fn anchor(&self) -> &Tensor {
        &self.anchor
    }

    /// Leaves a gradient of the leaf of that id; several are added up.
    pub fn give(&self, leaf: TensorId, gradient: Tensor) {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).push((leaf, gradient));
    }

    /// Everything given since the last call.
    pub(crate) fn take(&self) -> Vec<(TensorId, Tensor)> {
        std::mem::take(&mut *self.given.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
