//! The raw output of an aggregator, without the factor that brings it to the length of a sum.

use mtcool_core::{Aggregator, Combination, Convention, Jacobian, Result};

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

    fn convention(&self) -> Convention {
        Convention::AsIs
    }

    fn state(&self) -> Vec<(String, f64)> {
        self.0.state()
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        self.0.restore(state)
    }
}
