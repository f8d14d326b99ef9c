//! Gradients of large weights that are left for later: instead of the gradient, what it follows from is kept.
//!
//! The gradient of a weight `[O, I]` follows from the layer's input `[B, I]` and from the gradient of its output `[B, O]`. Where the
//! weight has more elements than that output, keeping the latter takes less memory, and rows of the weight's gradient are computed
//! when they are needed, a few at a time.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Result, Tensor, TensorId};

/// A layer with an input `[B, ...]`, a weight `[O, ...]`, its second operand, and an output `[B, O, ...]`.
pub(crate) trait LateWeight: Send + Sync {
    /// Whether rows of the gradient of its weight, of `count` rows, can be computed by themselves. Not if only some of them train.
    fn is_divisible(&self, count: usize) -> bool;

    /// The gradient of some rows of the weight, from the input and those rows of the weight, of the output and of its gradient. No
    /// other tensor than the weight's rows needs a gradient.
    ///
    /// # Errors
    /// If the calculation fails.
    fn gradient_of_rows(&self, x: &Tensor, weight: &Tensor, output: &Tensor, gradient: &Tensor) -> Result<Tensor>;
}

/// The gradient of a weight, computed by rows. The weight consists of variables, one above the other.
pub struct LateGradient {
    pub(super) variables: Vec<(TensorId, usize)>,
    pub(super) layer: Arc<dyn LateWeight>,
    /// The layer's input, which keeps no graph alive.
    pub(super) x: Tensor,
    pub(super) weight: Tensor,
    /// The layer's output, which keeps no graph alive.
    pub(super) output: Tensor,
    /// The gradient of the output.
    pub(super) gradient: Tensor,
}

impl LateGradient {
    /// The variables that the weight consists of, and how many rows each of them has.
    pub fn variables(&self) -> &[(TensorId, usize)] {
        &self.variables
    }

    /// These rows of the weight's gradient, `[rows, ...]`, counted over all variables. They equal those of the whole gradient up to
    /// rounding.
    ///
    /// # Errors
    /// If there are no such rows, or the calculation fails.
    pub fn rows(&self, rows: Range<usize>) -> Result<Tensor> {
        let (start, len) = (rows.start, rows.len());
        let columns = |tensor: &Tensor| tensor.narrow(1, start, len)?.contiguous();
        let weight = self.weight.narrow(0, start, len)?;
        self.layer.gradient_of_rows(&self.x, &weight, &columns(&self.output)?, &columns(&self.gradient)?)
    }
}

/// Takes the late gradients of a recording.
pub(super) struct LateReceiver {
    pub(super) is_wanted: Arc<AtomicBool>,
    pub(super) take: Arc<dyn Fn(LateGradient) + Send + Sync>,
}

impl LateReceiver {
    /// Whether the backward pass that is running may leave gradients for later.
    pub(super) fn wants(&self) -> bool {
        self.is_wanted.load(Ordering::SeqCst)
    }
}
