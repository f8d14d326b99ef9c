//! A seam: methods that find the direction by passes of their own.

use candle_core::Tensor;

use super::point::Point;
use crate::error::Result;
use crate::method::{Diagnostics, MethodState};
use crate::parameters::Gradients;

/// Finds the direction itself, from gradients at any number of points.
pub trait DirectionSource: Send {
    /// The direction of step `iteration`, counted from 0.
    ///
    /// # Errors
    /// If there is none.
    fn direction(&mut self, point: &Point<'_>, iteration: u64) -> Result<Direction>;

    /// What it remembers between steps, by name.
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
    /// The losses `[T]` at the point itself, scalars on their device.
    pub losses: Vec<Tensor>,
    /// What is known without further passes.
    pub diagnostics: Diagnostics,
}
