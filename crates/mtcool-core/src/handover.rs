//! A second way for gradients to reach the leaves, besides candle's graph.
//!
//! A network may have a backward pass of its own that is faster than candle's over the same operations. Its outputs then depend on
//! the [`Handover::anchor`], so that candle's backward pass calls it, and it leaves the gradients of the leaves by
//! [`Handover::give`]. [`Parameters::backward`](crate::Parameters::backward) adds up the gradients of both ways.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Tensor, TensorId, Var};

use crate::error::Result;

/// Takes the gradients of the leaves of one [`Parameters::track`](crate::Parameters::track).
#[derive(Clone, Debug)]
pub struct Handover {
    anchor: Tensor,
    given: Arc<Mutex<Vec<(TensorId, Tensor)>>>,
    is_last: Arc<AtomicBool>,
}

impl Handover {
    pub(crate) fn new(device: &Device) -> Result<Self> {
        Ok(Self {
            anchor: Var::zeros(1, DType::F32, device)?.into_inner(),
            given: Arc::default(),
            is_last: Arc::default(),
        })
    }

    /// A variable of one element whose only purpose is to be in the graph.
    pub fn anchor(&self) -> &Tensor {
        &self.anchor
    }

    /// Adds a gradient of the leaf with that id; several gradients of one leaf are added up.
    pub fn give(&self, leaf: TensorId, gradient: Tensor) {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).push((leaf, gradient));
    }

    /// True during a backward pass that is the last one through the forward passes that its loss follows from, so that a network may
    /// free what it has kept as soon as the pass has used it.
    pub fn is_last(&self) -> &Arc<AtomicBool> {
        &self.is_last
    }

    /// Calls `pass`, the last backward pass.
    pub(crate) fn with_last<R>(&self, pass: impl FnOnce() -> R) -> R {
        self.is_last.store(true, Ordering::SeqCst);
        let result = pass();
        self.is_last.store(false, Ordering::SeqCst);
        result
    }

    /// Removes and returns everything given since the last call.
    pub(crate) fn take(&self) -> Vec<(TensorId, Tensor)> {
        std::mem::take(&mut *self.given.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
