//! Optimisers: how parameters move along a direction, whatever method has found it.
//!
//! [`Optimizer`] is their trait; [`Sgd`] and [`AdamW`] implement it. [`UpdateSettings`] adds what every method's updates have in
//! common: the schedule of the learning rate, gradient clipping and gradient accumulation.

mod adamw;
mod by_operations;
mod clipping;
mod decay;
mod interface;
mod one_pass;
mod rate;
mod sgd;
mod update_parameter;
mod updater;

pub use adamw::AdamW;
pub use decay::DecayedParameters;
pub use interface::{Optimizer, OptimizerInputs};
pub use rate::RateSchedule;
pub use sgd::Sgd;
pub use updater::UpdateSettings;
pub(crate) use updater::Updater;
