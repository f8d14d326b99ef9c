//! The progress of long work: on a terminal a view of all runs of a sweep, or a bar; otherwise plain lines.

mod counter;
mod display;
mod live;
mod memory;
mod screen;
mod state;
mod view;

pub use counter::counter;
pub use display::{Console, Display, SweepProgress};
pub use state::{Phase, RunShape, SweepShape};
