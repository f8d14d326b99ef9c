//! Methods that are applied to another one.

/// The methods of `DirectionSource` that a wrapper without a state of its own leaves to the method in its field `inside`.
macro_rules! state_of_inside {
    () => {
        fn state(&self) -> Vec<(String, f64)> {
            self.inside.state()
        }

        fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
            self.inside.restore(state)
        }

        fn tensors(&self) -> StateTensors {
            self.inside.tensors()
        }

        fn restore_tensors(&mut self, tensors: StateTensors) -> Result<()> {
            self.inside.restore_tensors(tensors)
        }

        fn end_epoch(&mut self, epoch: &EpochSummary<'_>) -> Result<()> {
            self.inside.end_epoch(epoch)
        }

        fn reads_losses_after(&self) -> bool {
            self.inside.reads_losses_after()
        }

        fn observe(&mut self, losses: &[f64]) -> Result<()> {
            self.inside.observe(losses)
        }
    };
}

mod cr_mogm;
mod fmtl;
mod grouped;
mod perturbed;
mod raw;
mod sam;
mod samo;

pub use cr_mogm::{CrMogm, Smoothing};
pub use fmtl::{Fmtl, Wrapped};
pub use grouped::{BuildAggregator, GroupBy, Grouped};
pub use perturbed::Perturbed;
pub use raw::RawDirection;
pub use sam::Sam;
pub use samo::{Samo, SamoSettings};
