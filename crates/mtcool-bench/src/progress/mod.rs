//! The progress of long work: on a terminal a view of all runs of a sweep, or a bar; otherwise plain lines.

mod console;
mod counter;
mod live;
mod memory;
mod screen;
mod state;
mod view;

pub use console::{Console, Display, SweepProgress};
pub use counter::counter;
pub use state::{Phase, RunShape, SweepShape};
