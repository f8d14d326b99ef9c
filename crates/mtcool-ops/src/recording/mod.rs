//! Several operations as one node of candle's graph, with a backward pass of their own.
//!
//! candle's backward pass gives every operand a tensor of zeros and adds the gradient to it, on maps as on parameters: a sixth
//! of a U-Net's step. Inside [`recorded`] the operations of this crate leave no graph but a record each. Its backward pass runs
//! through the records in reverse, hands a gradient on as it is, adds where two meet, and leaves those of the leaves with the
//! caller.

mod nodes;
mod tape;

use std::cell::RefCell;
use std::sync::Arc;

use candle_core::{CustomOp1, CustomOp2, CustomOp3, Result, Tensor, TensorId, bail};

use nodes::{Junction, Output, Pending};
use tape::{Operation, Tape};

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State::Idle) };
}

/// What this thread's operations do besides their work.
#[derive(Default)]
enum State {
    /// They leave candle's graph.
    #[default]
    Idle,
    /// They leave a record.
    Recording(Tape),
    /// They ask what was tracked.
    Replaying(Arc<Tape>),
}

/// Sets a state and brings back the idle one, however the work ends.
struct Scope;

impl Scope {
    /// # Errors
    /// If another is open.
    fn open(state: State) -> Result<Self> {
        STATE.with_borrow_mut(|current| match current {
            State::Idle => {
                *current = state;
                Ok(Self)
            }
            _ => bail!("recorded: one recording inside another"),
        })
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        STATE.with_borrow_mut(|current| *current = State::Idle);
    }
}

/// Takes the gradient of a leaf, by the leaf's id; several for one leaf are to be added.
pub type Deliver = Arc<dyn Fn(TensorId, Tensor) + Send + Sync>;

/// The outputs of `body`, each as if it followed from `anchor` alone, a variable of one element that keeps the graph alive.
///
/// While `body` runs, this crate's operations take variables and each other's outputs for tracked. When candle's backward pass
/// over something made of the outputs gets here, the gradients of the variables go to `deliver`, and `anchor` gets none.
/// Every differentiable step of `body` has to be an operation of this crate: a record ends where another library's begins.
///
/// A thread has one recording at a time, and one that waits for parallel work may be given other work of its pool: networks
/// that are to run at the same time belong into pools of their own.
///
/// # Errors
/// If `body` fails, an operand belongs to a graph from outside, recordings are nested, or the anchor is no variable.
pub fn recorded(anchor: &Tensor, deliver: Deliver, body: impl FnOnce() -> Result<Vec<Tensor>>) -> Result<Vec<Tensor>> {
    if !anchor.is_variable() {
        bail!("recorded: the anchor is a constant: expected a variable, which the outputs' gradients can flow to");
    }
    let scope = Scope::open(State::Recording(Tape::default()))?;
    let outputs = body()?;
    let tape = STATE.with_borrow_mut(std::mem::take);
    drop(scope);
    let State::Recording(tape) = tape else { bail!("recorded: the recording was ended from inside") };
    tape.check(&outputs.iter().collect::<Vec<_>>())?;
    let tracked: Vec<bool> = outputs.iter().map(|output| tape.tracks(output)).collect();
    let pending = Pending::default();
    let junction = Junction { tape: Arc::new(tape), pending: pending.clone(), deliver };
    let junction = anchor.apply_op1(junction)?;
    let node = |(output, is_tracked): (Tensor, bool)| match is_tracked {
        true => junction.apply_op1(Output { value: output, pending: pending.clone() }),
        false => Ok(output),
    };
    outputs.into_iter().zip(tracked).map(node).collect()
}

/// Whether a gradient of `tensor` is wanted: it trains, or follows from what does.
pub fn tracks(tensor: &Tensor) -> bool {
    STATE.with_borrow(|state| match state {
        State::Idle => tensor.track_op(),
        State::Recording(tape) => tape.tracks(tensor),
        State::Replaying(tape) => tape.tracks(tensor),
    })
}

fn is_recording() -> bool {
    STATE.with_borrow(|state| matches!(state, State::Recording(_)))
}

/// `tensor` with its elements in order.
///
/// # Errors
/// If it would have to be copied while a recording tracks it: the copy would not be on record.
pub(crate) fn contiguous(tensor: &Tensor) -> Result<Tensor> {
    if is_recording() && tracks(tensor) && !tensor.is_contiguous() {
        bail!("recorded: an operand of strides {:?}: expected a contiguous one", tensor.stride());
    }
    tensor.contiguous()
}

/// Writes `output` down, if it is being recorded and an operand is tracked.
///
/// An output that is on record is in candle's graph as well: what other operations make of it shows there as a stranger.
fn record(operation: Operation, operands: &[&Tensor], output: Tensor) -> Result<Tensor> {
    STATE.with_borrow_mut(|state| {
        if let State::Recording(tape) = state {
            tape.record(operation, operands, &output)?;
        }
        Ok(output)
    })
}

/// `op` on a tensor.
pub(crate) fn apply1<C: CustomOp1 + Send + Sync + 'static>(x: &Tensor, op: C) -> Result<Tensor> {
    let x = contiguous(x)?;
    let op: Arc<Box<dyn CustomOp1 + Send + Sync>> = Arc::new(Box::new(op));
    let output = x.apply_op1_arc(op.clone())?;
    record(Operation::One(op), &[&x], output)
}

/// `op` on two tensors.
pub(crate) fn apply2<C: CustomOp2 + Send + Sync + 'static>(x: &Tensor, y: &Tensor, op: C) -> Result<Tensor> {
    let (x, y) = (contiguous(x)?, contiguous(y)?);
    let op: Arc<Box<dyn CustomOp2 + Send + Sync>> = Arc::new(Box::new(op));
    let output = x.apply_op2_arc(&y, op.clone())?;
    record(Operation::Two(op), &[&x, &y], output)
}

/// `op` on three tensors.
pub(crate) fn apply3<C>(x: &Tensor, y: &Tensor, z: &Tensor, op: C) -> Result<Tensor>
where
    C: CustomOp3 + Send + Sync + 'static,
{
    let (x, y, z) = (contiguous(x)?, contiguous(y)?, contiguous(z)?);
    let op: Arc<Box<dyn CustomOp3 + Send + Sync>> = Arc::new(Box::new(op));
    let output = x.apply_op3_arc(&y, &z, op.clone())?;
    record(Operation::Three(op), &[&x, &y, &z], output)
}

/// The elements of all `parts` in turn, as one vector.
///
/// # Errors
/// If the parts differ in dtype.
pub(crate) fn pack(parts: &[&Tensor]) -> Result<Tensor> {
    let flat = parts.iter().map(|part| contiguous(part)?.flatten_all()).collect::<Result<Vec<_>>>()?;
    record(Operation::Pack, parts, Tensor::cat(&flat, 0)?)
}

/// `parts` one above the other: `[sum R_i, ...]` from `[R_i, ...]`.
///
/// # Errors
/// If the parts differ in dtype or in more than their first dimension.
pub fn stack_rows(parts: &[&Tensor]) -> Result<Tensor> {
    if let [part] = parts {
        return Ok((*part).clone());
    }
    record(Operation::Pack, parts, Tensor::cat(parts, 0)?)
}

/// `x` `[B, ...]` with the features of each sample in one row, `[B, F]`.
///
/// # Errors
/// If `x` is a scalar.
pub fn flatten_features(x: &Tensor) -> Result<Tensor> {
    if x.rank() == 2 {
        return Ok(x.clone());
    }
    let x = contiguous(x)?;
    record(Operation::Pack, &[&x], x.flatten_from(1)?)
}
