//! The seam every training method implements: a method owns how parameters move in one step.

use candle_core::{DType, Tensor};

use crate::error::{Error, Result};
use crate::parameters::Parameters;
use crate::problem::{BatchSource, Problem};

/// A training method. "Combine the tasks' gradients, then optimise" ([`crate::GradientMethod`]) is one kind, alternating
/// cooperative updates ([`crate::Mtcool`]) another.
pub trait Method: Send {
    /// One step: draws batches, moves the parameters, reports the losses met on the way.
    ///
    /// # Errors
    /// If a batch cannot be read or a tensor operation fails. A loss that is not finite is no error here: whoever trains
    /// asks [`StepReport::check_finite`], when reading the device's numbers suits.
    fn step(&mut self, step: Step<'_>) -> Result<StepReport>;

    /// Batches of each task that the next step will draw, for keeping methods to one budget of samples seen.
    fn batches_next_step(&self) -> usize;

    /// Everything needed to continue later, but the parameters.
    fn state(&self) -> MethodState;

    /// Continues from `state`, as [`Method::state`] gave it.
    ///
    /// # Errors
    /// If `state` is another method's.
    fn restore(&mut self, state: MethodState) -> Result<()>;

    /// What the last step tells about the tasks besides their losses; nothing, for methods that have nothing to tell.
    fn diagnostics(&self) -> &Diagnostics {
        &Diagnostics::NONE
    }
}

/// What a step tells about the tasks: the weights it gave them, and how their gradients lie to each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnostics {
    /// One a task, on its loss or on its gradient.
    pub weights: Option<Vec<f64>>,
    /// Inner products `[T, T]` of the tasks' gradients with respect to the shared parameters, where the step computed them.
    pub gramian: Option<Vec<Vec<f64>>>,
}

impl Diagnostics {
    /// Nothing to tell.
    pub const NONE: Self = Self { weights: None, gramian: None };

    /// Lengths `[T]` of the tasks' gradients.
    pub fn lengths(&self) -> Option<Vec<f64>> {
        let gramian = self.gramian.as_ref()?;
        Some((0..gramian.len()).map(|i| gramian[i][i].sqrt()).collect())
    }

    /// The cosines between gradients i and j > i, as (i, j, cosine); pairs with a zero gradient have none.
    pub fn cosines(&self) -> Vec<(usize, usize, f64)> {
        let (Some(gramian), Some(lengths)) = (&self.gramian, self.lengths()) else { return Vec::new() };
        let pairs = (0..lengths.len()).flat_map(|i| (i + 1..lengths.len()).map(move |j| (i, j)));
        let nonzero = pairs.filter(|&(i, j)| lengths[i] > 0.0 && lengths[j] > 0.0);
        nonzero.map(|(i, j)| (i, j, gramian[i][j] / lengths[i] / lengths[j])).collect()
    }
}

/// What a method works with in one step.
pub struct Step<'a> {
    /// Network and losses.
    pub problem: &'a Problem,
    /// Moved by the step.
    pub parameters: &'a mut Parameters,
    /// Where the step draws its batches.
    pub batches: &'a mut dyn BatchSource,
    /// How much of the run is done, in `0..1`; learning-rate schedules follow it.
    pub progress: f64,
}

/// A method's state between steps.
#[derive(Clone, Debug, Default)]
pub struct MethodState {
    /// Steps done.
    pub iteration: u64,
    /// Tensors such as velocities, by parameter name.
    pub tensors: Parameters,
    /// Further numbers by name, in the method's order: weights of tasks, running means.
    pub numbers: Vec<(String, f64)>,
}

impl MethodState {
    /// Checks that the numbers are those called `names`, in that order.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if they are not: the state is another method's.
    pub fn expect_numbers(&self, names: &[&str]) -> Result<()> {
        let given: Vec<&str> = self.numbers.iter().map(|(name, _)| name.as_str()).collect();
        match given == names {
            true => Ok(()),
            false => Err(Error::Mismatch {
                what: "method state".into(),
                expected: format!("the numbers {names:?}"),
                got: format!("{given:?}: the state of another method"),
            }),
        }
    }
}

/// The losses met in one step, still on their device.
#[derive(Clone, Debug, Default)]
pub struct StepReport {
    /// In the order they were computed.
    pub losses: Vec<TaskLoss>,
}

/// The loss of one task at one update.
#[derive(Clone, Debug)]
pub struct TaskLoss {
    /// Counted from 0.
    pub task: usize,
    /// The task's own loss, a scalar; a mean over noise draws where there are several.
    pub loss: Tensor,
    /// The regulariser before its weight (KL of Eq. (6)), a scalar, where the method has one.
    pub regularizer: Option<Tensor>,
}

/// The numbers of a [`TaskLoss`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossValues {
    /// Counted from 0.
    pub task: usize,
    /// The task's own loss.
    pub loss: f64,
    /// The regulariser before its weight; 0 where there is none.
    pub regularizer: f64,
}

impl StepReport {
    /// Reads the losses from their device.
    ///
    /// # Errors
    /// If a tensor is no scalar.
    pub fn values(&self) -> Result<Vec<LossValues>> {
        let tensors = self.losses.iter().flat_map(|entry| [Some(&entry.loss), entry.regularizer.as_ref()]).flatten();
        let scalars = tensors.map(|tensor| tensor.to_dtype(DType::F64)).collect::<candle_core::Result<Vec<_>>>()?;
        if scalars.is_empty() {
            return Ok(Vec::new());
        }
        // All at once: where they lie on another device, each reading is a wait.
        let mut numbers = Tensor::stack(&scalars, 0)?.to_vec1::<f64>()?.into_iter();
        let mut next = || numbers.next().unwrap_or(f64::NAN);
        let values = self.losses.iter().map(|entry| {
            let loss = next();
            let regularizer = entry.regularizer.as_ref().map_or(0.0, |_| next());
            LossValues { task: entry.task, loss, regularizer }
        });
        Ok(values.collect())
    }

    /// [`StepReport::values`], all finite.
    ///
    /// # Errors
    /// [`Error::NonFiniteLoss`] with the first that is not.
    pub fn check_finite(&self) -> Result<Vec<LossValues>> {
        let values = self.values()?;
        for entry in &values {
            if let Some(value) = [entry.loss, entry.regularizer].into_iter().find(|value| !value.is_finite()) {
                return Err(Error::NonFiniteLoss { task: entry.task, value });
            }
        }
        Ok(values)
    }
}
