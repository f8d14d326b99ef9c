//! [`Method`], the trait of all training methods: what happens to the parameters in one step.

use candle_core::{DType, Tensor};

use crate::batches::BatchSource;
use crate::clamped::ClampedLayer;
use crate::error::{Error, Result};
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::state_tensors::StateTensors;

/// A training method. One kind combines the tasks' gradients and then optimises ([`GradientMethod`](crate::GradientMethod));
/// another updates the tasks in turn ([`Mtcool`](crate::Mtcool)).
pub trait Method: Send {
    /// One step: draws batches, moves the parameters, and reports the losses that were computed on the way.
    ///
    /// # Errors
    /// If a batch cannot be read or a tensor operation fails. A loss that is not finite is no error here: the caller decides
    /// when to wait for the device, and calls [`StepReport::check_finite`] then.
    fn step(&mut self, step: Step<'_>) -> Result<StepReport>;

    /// The number of batches of each task that the next step will draw, so that all methods can be given the same budget of
    /// samples.
    fn batches_next_step(&self) -> usize;

    /// Everything that is needed to continue later, besides the parameters.
    fn state(&self) -> MethodState;

    /// Continues from `state`, as [`Method::state`] returned it.
    ///
    /// # Errors
    /// If `state` is another method's.
    fn restore(&mut self, state: MethodState) -> Result<()>;

    /// Called at the end of each epoch, before the state is saved. By default a method learns nothing from it.
    ///
    /// # Errors
    /// If nothing can be learned from these losses.
    fn end_epoch(&mut self, epoch: &EpochSummary<'_>) -> Result<()> {
        let _ = epoch;
        Ok(())
    }

    /// What the last step has found out about the tasks besides their losses; by default nothing.
    fn diagnostics(&self) -> &Diagnostics {
        &Diagnostics::NONE
    }
}

/// What is known about the tasks at the end of an epoch.
#[derive(Clone, Copy, Debug)]
pub struct EpochSummary<'a> {
    /// The number of epochs done, this one included.
    pub epochs: u64,
    /// The mean of each task's training losses `[T]` over the steps of the epoch; NaN for a task without one.
    pub training_losses: &'a [f64],
    /// Each task's loss `[T]` on the validation split at the end of the epoch; NaN where it is not known.
    pub validation_losses: &'a [f64],
}

/// What a step has found out about the tasks: their weights, the lengths of their gradients and the angles between them, and what a
/// clamp moved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnostics {
    /// One weight per task, on its loss or on its gradient.
    pub weights: Option<Vec<f64>>,
    /// Inner products `[T, T]` of the tasks' gradients with respect to the shared parameters, where the step computed them.
    pub gramian: Option<Vec<Vec<f64>>>,
    /// For each layer of each task's theta that the step clamped, how much of it the clamp moved; `None` for a step without a clamp.
    pub clamped: Option<Vec<ClampedLayer>>,
}

impl Diagnostics {
    /// Nothing is known.
    pub const NONE: Self = Self { weights: None, gramian: None, clamped: None };

    /// Lengths `[T]` of the tasks' gradients.
    pub fn lengths(&self) -> Option<Vec<f64>> {
        let gramian = self.gramian.as_ref()?;
        Some((0..gramian.len()).map(|i| gramian[i][i].sqrt()).collect())
    }

    /// The cosines of the angles between the gradients of tasks i and j > i, as (i, j, cosine). A pair with a zero gradient
    /// is left out.
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
    /// The parameters, which the step moves.
    pub parameters: &'a mut Parameters,
    /// The source of the step's batches.
    pub batches: &'a mut dyn BatchSource,
    /// The fraction of the run that is done, in `0..1`: what learning-rate schedules depend on.
    pub progress: f64,
}

/// A method's state between steps.
#[derive(Clone, Debug, Default)]
pub struct MethodState {
    /// The number of steps done.
    pub iteration: u64,
    /// Tensors by name, such as an optimiser's `velocity.theta.0.conv1.weight`. They may lie on any device: a method moves them
    /// to its parameters' device when it uses them.
    pub tensors: StateTensors,
    /// Further numbers by name, in an order that the method chooses, such as weights of tasks or running means.
    pub numbers: Vec<(String, f64)>,
}

impl MethodState {
    /// Checks that the numbers are those called `names`, in that order.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if they are not: the state is another method's.
    pub fn expect_numbers(&self, names: &[&str]) -> Result<()> {
        let given: Vec<&str> = self.numbers.iter().map(|(name, _)| name.as_str()).collect();
        if given == names {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: "method state".into(),
            expected: format!("the numbers {names:?}"),
            got: format!("{given:?}: the state of another method"),
        })
    }
}

/// The losses of one step, still on their device.
#[derive(Clone, Debug, Default)]
pub struct StepReport {
    /// In the order in which they were computed.
    pub losses: Vec<TaskLoss>,
}

/// The loss of one task at one update.
#[derive(Clone, Debug)]
pub struct TaskLoss {
    /// Counted from 0.
    pub task: usize,
    /// The task's own loss, a scalar: the mean over draws of the noise and over accumulated batches, where there are several.
    pub loss: Tensor,
    /// The regulariser before it is multiplied by its weight (the KL term of Eq. (6)), a scalar, if the method has one.
    pub regularizer: Option<Tensor>,
}

/// The numbers of a [`TaskLoss`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossValues {
    /// Counted from 0.
    pub task: usize,
    /// The task's own loss.
    pub loss: f64,
    /// The regulariser before it is multiplied by its weight; 0 if there is none.
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
        // All at once, since the host waits for another device each time it reads from it.
        let mut numbers = Tensor::stack(&scalars, 0)?.to_vec1::<f64>()?.into_iter();
        let mut next = || numbers.next().unwrap_or(f64::NAN);
        let values = self.losses.iter().map(|entry| {
            let loss = next();
            let regularizer = entry.regularizer.as_ref().map_or(0.0, |_| next());
            LossValues { task: entry.task, loss, regularizer }
        });
        Ok(values.collect())
    }

    /// As [`StepReport::values`], but fails if one of them is not finite.
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
