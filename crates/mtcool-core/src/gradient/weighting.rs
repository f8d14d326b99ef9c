//! [`LossWeighting`]: weights on the tasks' losses.

use crate::error::Result;
use crate::method::{EpochSummary, MethodState};

/// Weights on the tasks' losses, known before any gradient: the gradient of the weighted sum is the direction.
pub trait LossWeighting: Send {
    /// One weight per task, given the losses `[T]` of step `iteration`, counted from 0. It is called once per step, in the order
    /// of the steps; random choices follow from the iteration and from a seed of the weighting's own. Losses that are read
    /// are finite: after a step that has diverged it is not called.
    ///
    /// # Errors
    /// If no weights can be found for these losses.
    fn weights(&mut self, losses: &[f64], iteration: u64) -> Result<Vec<f64>>;

    /// What it remembers between steps, by name.
    fn state(&self) -> Vec<(String, f64)> {
        Vec::new()
    }

    /// Continues from `state`, as [`LossWeighting::state`] returned it.
    ///
    /// # Errors
    /// If `state` is not this weighting's.
    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        MethodState { numbers: state, ..MethodState::default() }.expect_numbers(&[])
    }

    /// Whether the weights depend on the losses. If not, the step does not wait for their values, and
    /// [`LossWeighting::weights`] gets NaN for each.
    fn reads_losses(&self) -> bool {
        true
    }

    /// Whether [`LossWeighting::observe`] wants the losses after each step, which costs a forward pass.
    fn reads_losses_after(&self) -> bool {
        false
    }

    /// Called at the end of each epoch, before the state of the method is saved. By default it learns nothing from it.
    ///
    /// # Errors
    /// If nothing can be learned from these losses.
    fn end_epoch(&mut self, epoch: &EpochSummary<'_>) -> Result<()> {
        let _ = epoch;
        Ok(())
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
