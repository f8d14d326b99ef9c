//! [`DirectionSource`]: methods that find the direction by passes of their own.

use candle_core::Tensor;

use super::point::Point;
use crate::error::Result;
use crate::method::{Diagnostics, EpochSummary, MethodState};
use crate::parameters::Gradients;
use crate::state_tensors::StateTensors;

/// Finds the direction itself, from gradients at any number of points.
pub trait DirectionSource: Send {
    /// The direction of step `iteration`, counted from 0.
    ///
    /// # Errors
    /// If there is none.
    fn direction(&mut self, point: &Point<'_>, iteration: u64) -> Result<Direction>;

    /// The number of independent batches of each task that a step needs; [`Point::part`] selects one of them.
    fn independent_batches(&self) -> usize {
        1
    }

    /// The number of updates in a step. [`DirectionSource::direction`] is called once for each, at the parameters that the earlier
    /// ones have moved, with the same batches and the same iteration.
    fn updates(&self, tasks: usize) -> usize {
        let _ = tasks;
        1
    }

    /// The numbers that it remembers between steps, by name.
    fn state(&self) -> Vec<(String, f64)> {
        Vec::new()
    }

    /// Continues from `state`, as [`DirectionSource::state`] returned it.
    ///
    /// # Errors
    /// If `state` is not this source's.
    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        MethodState { numbers: state, ..MethodState::default() }.expect_numbers(&[])
    }

    /// The tensors that it remembers between steps, such as running means of gradients.
    fn tensors(&self) -> StateTensors {
        StateTensors::new()
    }

    /// Continues from `tensors`, as [`DirectionSource::tensors`] returned them. They may lie on another device than the gradients of
    /// the next step.
    ///
    /// # Errors
    /// If `tensors` are not this source's.
    fn restore_tensors(&mut self, tensors: StateTensors) -> Result<()> {
        tensors.expect_none()
    }

    /// Called at the end of each epoch, before the state of the method is saved. By default it learns nothing from it.
    ///
    /// # Errors
    /// If nothing can be learned from these losses.
    fn end_epoch(&mut self, epoch: &EpochSummary<'_>) -> Result<()> {
        let _ = epoch;
        Ok(())
    }

    /// Whether [`DirectionSource::observe`] wants the losses after each step, which costs a forward pass.
    fn reads_losses_after(&self) -> bool {
        false
    }

    /// Called with the losses `[T]` of the same batches after the parameters have moved.
    ///
    /// # Errors
    /// If nothing can be learned from these losses.
    fn observe(&mut self, losses: &[f64]) -> Result<()> {
        let _ = losses;
        Ok(())
    }
}

/// The direction that a step descends, and what was computed on the way.
#[derive(Clone, Debug)]
pub struct Direction {
    /// What the optimiser descends: gradients of all parameters, the tasks' own included.
    pub gradients: Gradients,
    /// The losses `[T]` at the point itself, scalars on their device; if a step makes one update per task, the loss of that task
    /// alone.
    pub losses: Vec<Tensor>,
    /// What is known without further passes.
    pub diagnostics: Diagnostics,
}
