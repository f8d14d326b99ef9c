//! A second way for gradients to reach the leaves, besides candle's graph.
//!
//! A network may have a backward pass of its own that is faster than candle's over the same operations. Its outputs then depend on
//! the [`Handover::anchor`], so that candle's backward pass calls it, and it leaves the gradients of the leaves by
//! [`Handover::give`]. [`Parameters::backward`](crate::Parameters::backward) adds up the gradients of both ways.
//!
//! Where [`Handover::wants_late`] says so, gradients of large parameters may be left for later: see [`LateGradient`].

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Tensor, TensorId, Var};

use crate::error::Result;
use crate::late_gradient::LateGradient;

/// Takes the gradients of the leaves of one [`Parameters::track`](crate::Parameters::track).
#[derive(Clone)]
pub struct Handover {
    anchor: Tensor,
    given: Arc<Mutex<Vec<(TensorId, Tensor)>>>,
    is_last: Arc<AtomicBool>,
    late: Arc<Mutex<LateGradients>>,
    wants_late: Arc<AtomicBool>,
}

type LateGradients = Vec<Arc<dyn LateGradient>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover").field("anchor", &self.anchor).finish_non_exhaustive()
    }
}

impl Handover {
    pub(crate) fn new(device: &Device) -> Result<Self> {
        Ok(Self {
            anchor: Var::zeros(1, DType::F32, device)?.into_inner(),
            given: Arc::default(),
            is_last: Arc::default(),
            late: Arc::default(),
            wants_late: Arc::default(),
        })
    }

    /// A variable of one element whose only purpose is to be in the graph.
    pub fn anchor(&self) -> &Tensor {
        &self.anchor
    }

    /// Adds a gradient of the leaf with that id; several gradients of one leaf are added up.
    pub fn give(&self, leaf: TensorId, gradient: Tensor) {
        lock(&self.given).push((leaf, gradient));
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
        std::mem::take(&mut *lock(&self.given))
    }

    /// True during a backward pass that may leave gradients of large leaves for later, and during the forward passes before it.
    pub fn wants_late(&self) -> &Arc<AtomicBool> {
        &self.wants_late
    }

    /// Adds a gradient that is computed later, or at the end of this backward pass if it is not wanted later.
    pub fn give_late(&self, gradient: Arc<dyn LateGradient>) {
        lock(&self.late).push(gradient);
    }

    /// Removes and returns the late gradients given since the last call.
    pub(crate) fn take_late(&self) -> LateGradients {
        std::mem::take(&mut *lock(&self.late))
    }

    /// Calls `work`, forward or backward passes of which gradients may be late.
    pub(crate) fn with_late<R>(&self, work: impl FnOnce() -> R) -> R {
        self.wants_late.store(true, Ordering::SeqCst);
        let result = work();
        self.wants_late.store(false, Ordering::SeqCst);
        result
    }
}
