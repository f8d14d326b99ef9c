//! The other kind of method: find one direction for all tasks, then descend along it.
//!
//! A method of one's own implements one of three traits: [`LossWeighting`] (weights on the losses), [`Aggregator`] (a
//! combination of the tasks' gradients) or [`DirectionSource`] (a direction from passes of its own). [`GradientMethod`] makes
//! a training method of it.

mod aggregator;
mod checks;
mod combine;
mod convention;
mod direction;
mod gradient_method;
mod jacobian;
mod late;
mod point;
mod storage;
mod weighting;

pub use aggregator::{Aggregator, Combination};
pub use combine::Combine;
pub use convention::Convention;
pub use direction::{Direction, DirectionSource};
pub use gradient_method::GradientMethod;
pub use jacobian::Jacobian;
pub use point::{Point, TaskGradients};
pub use storage::GradientStorage;
pub use weighting::LossWeighting;
