//! How a set is loaded.

use super::names::SetShape;

/// What to do with photographs whose files are missing or damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDamage {
    /// Refuse the set and name every problem.
    Refuse,
    /// Load the intact photographs and leave the others out.
    LeaveOut,
}

/// How a set is loaded.
#[derive(Clone, Copy, Debug)]
pub struct HrfAvConfig {
    /// How many photographs of which size the folder should hold.
    pub shape: SetShape,
    /// Sides become that many times shorter: pixels by the mean of `scale` x `scale` pixels, labels by the rule of
    /// [`Mark`](super::Mark).
    pub scale: usize,
    /// What to do with photographs whose files are damaged.
    pub on_damage: OnDamage,
    /// Whether the same photograph may be there several times under different names.
    pub allows_copies: bool,
}
