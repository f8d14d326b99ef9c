//! The length of an aggregator's direction, relative to the sum of the gradients.

/// How long an aggregator's direction is where all T tasks have the same gradient g.
///
/// Task-specific parameters always move by their own task's plain gradient, and Joint moves the shared ones by the sum of the
/// gradients. A direction that is a mean of the gradients would move the shared parameters by 1/T of that with the same
/// learning rate, so that no learning rate would make the two methods comparable. [`Aggregator::combine_all`] therefore
/// multiplies such a direction by T.
///
/// [`Aggregator::combine_all`]: super::Aggregator::combine_all
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Convention {
    /// `T g`: as the sum of the gradients.
    #[default]
    Sum,
    /// `g`: as the mean of the gradients. The direction is multiplied by T.
    Mean,
    /// The direction is used as it is: its length does not grow with the gradients, or the caller asks for the raw output.
    AsIs,
}

impl Convention {
    /// What the direction of `tasks` tasks is multiplied by.
    pub fn factor(self, tasks: usize) -> f64 {
        match self {
            Self::Sum | Self::AsIs => 1.0,
            Self::Mean => tasks as f64,
        }
    }
}
