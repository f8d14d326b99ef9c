//! Training: a single run from its last checkpoint to its end, and all runs of a table.
//!
//! This is the only module that trains, and the only one that reads the test split, in `evaluate.rs`. It knows no data set and no
//! method by name.

mod curve;
mod ended;
mod evaluate;
mod flatness;
mod loss;
mod problem;
mod rows;
mod search;
mod selection;
mod sweep;
mod times;
mod train;

pub use ended::{Diverged, Interrupted};
pub use flatness::{FlatnessRequest, measure_flatness};
pub use problem::problem;
pub use search::Halving;
pub use sweep::{Outcome, Sweep};
pub use train::Run;
