//! What candle's graph sees of a recording: a junction of one element, which follows from the anchor, and the outputs, which
//! follow from the junction.
//!
//! In a backward pass each output stores its gradient for the junction. candle calls the junction's backward pass after those
//! of all outputs, and the junction runs the backward pass of the recording.

use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, TensorId, WithDType, bail};

use super::replay::replay;
use super::tape::Tape;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::{dispatch, on_cpu};
use crate::memory::copied;

/// Takes the gradient of a variable, by the variable's id; several gradients for one variable are to be added.
pub type Deliver = Arc<dyn Fn(TensorId, Tensor) + Send + Sync>;

/// Gradients of outputs that wait for the junction.
#[derive(Clone, Default)]
pub(super) struct Pending(Arc<Mutex<Vec<(TensorId, Tensor)>>>);

impl Pending {
    fn push(&self, output: TensorId, gradient: Tensor) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((output, gradient));
    }

    fn take(&self) -> Vec<(TensorId, Tensor)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where the gradients of all outputs come together.
pub(super) struct Junction {
    pub(super) tape: Arc<Tape>,
    pub(super) pending: Pending,
    pub(super) deliver: Deliver,
}

impl CustomOp1 for Junction {
    fn name(&self) -> &'static str {
        "recording"
    }

    fn cpu_fwd(&self, anchor: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let zeros = dispatch!(self.name(), anchor, T => T::to_cpu_storage_owned(vec![T::default(); layout.shape().elem_count()]));
        Ok((zeros, layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, anchor: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let zeros = anchor.device.alloc_zeros::<f32>(layout.shape().elem_count())?;
        Ok(cuda::result(zeros, &anchor.device, layout.shape()))
    }

    fn bwd(&self, _anchor: &Tensor, _junction: &Tensor, _grad: &Tensor) -> Result<Option<Tensor>> {
        for (variable, gradient) in replay(&self.tape, self.pending.take())? {
            (self.deliver)(variable, gradient);
        }
        Ok(None)
    }
}

/// A value as a tensor that follows from another one in candle's graph: an output of a recording from the junction, or the
/// output of operations that are computed again from one of their operands.
pub(super) struct Follower {
    id: TensorId,
    /// The value, until it has been copied. Whoever holds the tensor must not hold what the value follows from.
    value: Mutex<Option<Tensor>>,
    /// Where a gradient goes; `None` inside a recording, which no backward pass of candle enters.
    pending: Option<Pending>,
}

impl Follower {
    /// `value` as an output of a recording.
    pub(super) fn of_junction(value: Tensor, pending: &Pending) -> Self {
        Self { id: value.id(), value: Mutex::new(Some(value)), pending: Some(pending.clone()) }
    }

    /// `value` as the output of an operation inside a recording.
    pub(super) fn of_operand(value: Tensor) -> Self {
        Self { id: value.id(), value: Mutex::new(Some(value)), pending: None }
    }

    fn take(&self) -> Result<Tensor> {
        match self.value.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(value) => Ok(value),
            None => bail!("{}: a second forward pass", self.name()),
        }
    }
}

impl CustomOp1 for Follower {
    fn name(&self) -> &'static str {
        "recorded"
    }

    fn cpu_fwd(&self, _before: &CpuStorage, _layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let tensor = self.take()?;
        let value = on_cpu(self.name(), &tensor);
        let copy =
            dispatch!(self.name(), value.storage()?, T => T::to_cpu_storage_owned(copied(value.elements::<T>()?)));
        Ok((copy, tensor.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, _before: &CudaStorage, _layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let tensor = self.take()?;
        let value = cuda::guard(self.name(), &tensor);
        let storage = value.storage()?;
        cuda::dispatch!(self.name(), storage, T => {
            let copy = cuda::copied(&storage.device, &value.view::<T>()?)?;
            Ok(cuda::result(copy, &storage.device, tensor.shape()))
        })
    }

    fn bwd(&self, before: &Tensor, _value: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        match &self.pending {
            Some(pending) => pending.push(self.id, grad.clone()),
            None => bail!("{}: a backward pass of candle inside a recording", self.name()),
        }
        Ok(Some(before.zeros_like()?))
    }
}
