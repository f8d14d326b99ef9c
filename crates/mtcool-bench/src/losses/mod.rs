//! The losses that come with the program: the keys of a task's table `[loss.TASK]`.

mod class_weights;
mod classes;
mod numbers;

use crate::suite::LossEntry;

/// All kinds of loss.
pub(crate) fn entries() -> Vec<LossEntry> {
    vec![classes::cross_entropy(), classes::dice(), classes::focal(), numbers::l1(), numbers::l2(), numbers::huber()]
}
