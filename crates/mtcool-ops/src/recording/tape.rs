//! What a recording holds: the operations in order, and which tensors belong to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use candle_core::{CustomOp1, CustomOp2, CustomOp3, Result, Tensor, TensorId, bail};
use indexmap::{IndexMap, IndexSet};

use super::late::{LateReceiver, LateWeight};

/// The operation of one record.
#[derive(Clone)]
pub(super) enum Operation {
    One(Arc<Box<dyn CustomOp1 + Send + Sync>>),
    Two(Arc<Box<dyn CustomOp2 + Send + Sync>>),
    Three(Arc<Box<dyn CustomOp3 + Send + Sync>>),
    /// The elements of all operands, one operand after the other.
    Pack,
    /// An operation that may use up what it has kept.
    Own(Arc<dyn OwnBackward>),
    /// Operations that are recorded again, from the operands, when the backward pass gets here.
    Recomputed(Body),
}

/// The backward pass of an operation that saves memory where it is the last one through the operation.
pub(crate) trait OwnBackward: Send + Sync {
    /// Gradients of `operands` from that of the output; `None` for those that are not tracked. If `is_last`, there is no further
    /// call, so that the operation may use up what it has kept.
    ///
    /// # Errors
    /// If an earlier call was the last one.
    fn gradients(&self, operands: &[Tensor], gradient: Tensor, is_last: bool) -> Result<Vec<Option<Tensor>>>;
}

/// Operations on tensors that take the place of the operands.
pub(super) type Body = Arc<dyn Fn(&[Tensor]) -> Result<Tensor> + Send + Sync>;

/// One operation with its operands and its output.
pub(super) struct Record {
    pub(super) operation: Operation,
    /// The layer, if the operation is one whose weight's gradient may be late.
    pub(super) late: Option<Arc<dyn LateWeight>>,
    pub(super) operands: Vec<Tensor>,
    pub(super) output: TensorId,
    /// The output, if the operation's backward pass may read it.
    pub(super) value: Option<Tensor>,
}

/// The records of one recording, in order, and the tensors that belong to it: its leaves and the outputs of its records.
#[derive(Default)]
pub(super) struct Tape {
    content: Mutex<Content>,
    /// Whether the present backward pass is the last one, if somebody knows it.
    is_last: OnceLock<Arc<AtomicBool>>,
    /// Where late gradients go, if anywhere.
    late: OnceLock<LateReceiver>,
}

#[derive(Default)]
struct Content {
    records: Vec<Arc<Record>>,
    outputs: IndexSet<TensorId>,
    /// The tensor that each leaf stands for: a variable, or the operand of a [`Operation::Recomputed`].
    leaves: IndexMap<TensorId, TensorId>,
    /// Whether the last backward pass has taken the records.
    is_released: bool,
}

/// The tape that a tensor belongs to. A tape removes its tensors when it is dropped.
static TAPES: LazyLock<Mutex<IndexMap<TensorId, Weak<Tape>>>> = LazyLock::new(Mutex::default);

/// No code that runs under these locks can panic and leave half a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tape that `tensor` belongs to, if it is a leaf or an output of a recording that still exists.
pub(super) fn tape_of(tensor: &Tensor) -> Option<Arc<Tape>> {
    lock(&TAPES).get(&tensor.id())?.upgrade()
}

/// Whether `tensor` belongs to a recording whose backward passes leave gradients for later, as far as is known now.
pub(crate) fn wants_late(tensor: &Tensor) -> bool {
    tape_of(tensor).is_some_and(|tape| tape.late().is_some())
}

impl Tape {
    /// A tensor that stands for `tracked` inside this recording. It shares its memory and follows from it in candle's graph, so
    /// that what other libraries make of it is recognised.
    ///
    /// # Errors
    /// If candle cannot make the view.
    pub(super) fn leaf(self: &Arc<Self>, tracked: &Tensor) -> Result<Tensor> {
        let leaf = tracked.reshape(tracked.shape())?;
        lock(&self.content).leaves.insert(leaf.id(), tracked.id());
        lock(&TAPES).insert(leaf.id(), Arc::downgrade(self));
        Ok(leaf)
    }

    /// Whether `tensor` is a leaf or an output of this recording.
    pub(super) fn holds(&self, tensor: &Tensor) -> bool {
        let content = lock(&self.content);
        content.leaves.contains_key(&tensor.id()) || content.outputs.contains(&tensor.id())
    }

    /// The variable that `leaf` stands for.
    pub(super) fn variable_of(&self, leaf: TensorId) -> Option<TensorId> {
        lock(&self.content).leaves.get(&leaf).copied()
    }

    /// # Errors
    /// If a tensor is neither a constant nor part of this recording.
    pub(super) fn check(&self, tensors: &[&Tensor]) -> Result<()> {
        let is_strange = |tensor: &&&Tensor| tensor.track_op() && !self.holds(tensor);
        match tensors.iter().find(is_strange) {
            Some(tensor) if tensor.is_variable() => bail!(
                "recorded: a variable of shape {:?} is used inside a recording as it is: expected the tensor that `Recording::leaf` gives for it",
                tensor.shape()
            ),
            Some(tensor) => bail!(
                "recorded: a tensor of shape {:?} follows from variables by an operation that is not of mtcool-ops, or from leaves of another recording, so its gradient would be lost: use mtcool-ops' operations on this recording's leaves and on constants",
                tensor.shape()
            ),
            None => Ok(()),
        }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// As [`Tape::check`], of the operands.
    pub(super) fn record(
        self: &Arc<Self>,
        operation: Operation,
        late: Option<Arc<dyn LateWeight>>,
        operands: &[&Tensor],
        output: &Tensor,
    ) -> Result<()> {
        self.check(operands)?;
        let operands = operands.iter().map(|&operand| operand.clone()).collect();
        let value = match operation {
            Operation::Pack | Operation::Own(_) | Operation::Recomputed(_) => None,
            Operation::One(_) | Operation::Two(_) | Operation::Three(_) => Some(output.clone()),
        };
        let mut content = lock(&self.content);
        content.outputs.insert(output.id());
        content.records.push(Arc::new(Record { operation, late, operands, output: output.id(), value }));
        drop(content);
        lock(&TAPES).insert(output.id(), Arc::downgrade(self));
        Ok(())
    }

    /// From now on, backward passes may leave gradients for later where `receiver` wants them.
    pub(super) fn leave_late_to(&self, receiver: LateReceiver) {
        // A recording says it once; a second receiver would change nothing.
        let _ = self.late.set(receiver);
    }

    /// Where the backward pass that is running may leave gradients for later.
    pub(super) fn late(&self) -> Option<&LateReceiver> {
        self.late.get().filter(|late| late.wants())
    }

    /// From now on, a backward pass that finds `is_last` true takes the records with it.
    pub(super) fn release_when(&self, is_last: Arc<AtomicBool>) {
        // A recording asks once; a second flag would change nothing.
        let _ = self.is_last.set(is_last);
    }

    /// The records in order, for a backward pass, and whether it is the last one. Then the tape keeps none, so that each record
    /// ends, with all that only it needs, as soon as the pass has used it.
    ///
    /// # Errors
    /// If the last backward pass has been.
    pub(super) fn records(&self) -> Result<(Vec<Arc<Record>>, bool)> {
        // Copies of the references rather than a lock: a backward pass waits for parallel work, and may meanwhile be given
        // another one through this recording on the same thread.
        let mut content = lock(&self.content);
        if content.is_released {
            bail!("recorded: a further backward pass after the one that was said to be the last");
        }
        if self.is_last.get().is_some_and(|is_last| is_last.load(Ordering::SeqCst)) {
            content.is_released = true;
            return Ok((std::mem::take(&mut content.records), true));
        }
        Ok((content.records.clone(), false))
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        let content = self.content.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut tapes = lock(&TAPES);
        for id in content.outputs.iter().chain(content.leaves.keys()) {
            tapes.swap_remove(id);
        }
    }
}
