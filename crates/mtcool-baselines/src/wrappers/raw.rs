//! The raw output of an aggregator, without the factor that brings it to the length of a sum.

use mtcool_core::{Aggregator, Combination, Convention, EpochSummary, Jacobian, Result, StateTensors};

/// An aggregator whose direction is used exactly as its paper defines it.
///
/// Without this wrapper, a direction that is a mean of the T gradients is multiplied by T (see [`Convention`]). With it, the
/// shared parameters move by 1/T of what Joint would move them by at the same learning rate, while the tasks' own parameters
/// still move by their whole gradient.
pub struct RawDirection(pub Box<dyn Aggregator>);

impl Aggregator for RawDirection {
    fn combine(&mut self, jacobian: &Jacobian<'_>, iteration: u64) -> Result<Combination> {
        self.0.combine(jacobian, iteration)
    }

    fn reads_rows(&self) -> bool {
        self.0.reads_rows()
    }

    fn convention(&self) -> Convention {
        Convention::AsIs
    }

    fn state(&self) -> Vec<(String, f64)> {
        self.0.state()
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        self.0.restore(state)
    }

    fn tensors(&self) -> StateTensors {
        self.0.tensors()
    }

    fn restore_tensors(&mut self, tensors: StateTensors) -> Result<()> {
        self.0.restore_tensors(tensors)
    }

    fn end_epoch(&mut self, epoch: &EpochSummary<'_>) -> Result<()> {
        self.0.end_epoch(epoch)
    }
}
