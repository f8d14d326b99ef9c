//! What the updates of all methods have in common, and the one place where a method moves parameters.

use std::sync::Arc;

use super::clipping::clip_to_norm;
use super::interface::{Optimizer, OptimizerInputs};
use super::rate::RateSchedule;
use super::sgd::Sgd;
use crate::error::{Result, require};
use crate::parameters::{Gradients, Parameters};
use crate::problem::Problem;
use crate::state_tensors::StateTensors;

/// How a method updates parameters once it has a direction.
#[derive(Clone, Debug)]
pub struct UpdateSettings {
    /// Turns a direction into new values.
    pub optimizer: Arc<dyn Optimizer>,
    /// How the learning rate changes over the run.
    pub rate: RateSchedule,
    /// The longest direction that an update follows, positive: a longer one is scaled down to this length, the length taken
    /// over all gradients of that update. In a [`GradientMethod`](crate::GradientMethod) these are the combined gradients of
    /// all parameters; in [`Mtcool`](crate::Mtcool) those of all parameters in the warm-up, and those of psi_i in an inner
    /// iteration of task i.
    pub max_gradient_norm: Option<f64>,
    /// Gradient accumulation: an update averages the losses and gradients of this many batches of each of its tasks; at
    /// least 1. With losses that are means over a batch, k batches of B samples give what one batch of k B samples gives, in
    /// the memory of one batch of B; batch norm is the exception, since it still sees B samples at a time.
    pub accumulated_batches: usize,
}

impl UpdateSettings {
    /// `optimizer` at a constant rate, without clipping or accumulation.
    pub fn new(optimizer: impl Optimizer + 'static) -> Self {
        let optimizer = Arc::new(optimizer);
        Self { optimizer, rate: RateSchedule::Constant, max_gradient_norm: None, accumulated_batches: 1 }
    }

    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange) naming the first setting outside its range.
    pub fn check(self) -> Result<Self> {
        self.optimizer.check()?;
        if let Some(norm) = self.max_gradient_norm {
            require(norm > 0.0 && norm.is_finite(), "max_gradient_norm", norm, "a positive number")?;
        }
        let batches = self.accumulated_batches;
        require(batches >= 1, "accumulated_batches", batches, "at least 1")?;
        Ok(Self { rate: self.rate.check()?, ..self })
    }
}

impl Default for UpdateSettings {
    /// Plain gradient descent.
    fn default() -> Self {
        Self::new(Sgd::default())
    }
}

/// Checked [`UpdateSettings`] with the optimiser's state.
#[derive(Debug)]
pub(crate) struct Updater {
    settings: UpdateSettings,
    state: StateTensors,
}

impl Updater {
    /// At the beginning of a run.
    pub(crate) fn new(settings: UpdateSettings) -> Result<Self> {
        Ok(Self { settings: settings.check()?, state: StateTensors::new() })
    }

    /// Batches of each of its tasks that an update averages over.
    pub(crate) fn accumulated_batches(&self) -> usize {
        self.settings.accumulated_batches
    }

    /// Moves the parameters that have a gradient, at the base rate `rate` and `progress` in `0..1` of the run.
    pub(crate) fn update(
        &mut self,
        problem: &Problem,
        parameters: &mut Parameters,
        mut gradients: Gradients,
        (rate, progress): (f64, f64),
    ) -> Result<()> {
        if let Some(norm) = self.settings.max_gradient_norm {
            gradients = clip_to_norm(gradients, norm)?;
        }
        let inputs = OptimizerInputs {
            parameters,
            gradients: &gradients,
            rate: rate * self.settings.rate.factor(progress),
            is_weight: &|name| problem.network().decays(name),
            kernels: problem.kernels(),
        };
        let (moved, state) = self.settings.optimizer.step(&inputs, std::mem::take(&mut self.state))?;
        self.state = state;
        parameters.update(moved);
        Ok(())
    }

    /// Sets the velocity of each element to 0 that differs between `parameters` and `moved`, which holds some of them.
    pub(crate) fn stop_where_moved(&mut self, parameters: &Parameters, moved: &Parameters) -> Result<()> {
        let Some(slot) = self.settings.optimizer.velocity() else { return Ok(()) };
        for (name, tensor) in moved.iter() {
            if let (Some(before), Some(velocity)) = (parameters.get(name), self.state.of_parameter(slot, name)) {
                let kept = before.eq(tensor)?.to_dtype(velocity.dtype())?;
                let velocity = (velocity.to_device(kept.device())? * kept)?;
                self.state.insert_for(slot, name, velocity);
            }
        }
        Ok(())
    }

    /// The optimiser's state, for a checkpoint.
    pub(crate) fn state(&self) -> StateTensors {
        self.state.clone()
    }

    /// Continues from `state`.
    pub(crate) fn restore(&mut self, state: StateTensors) -> Result<()> {
        state.check_slots(self.settings.optimizer.slots())?;
        self.state = state;
        Ok(())
    }
}
