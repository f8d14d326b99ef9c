//! The setting `direction_scale`, which methods have whose direction is a mean of the T gradients.

use mtcool_baselines::RawDirection;
use mtcool_core::{Aggregator, Combine};
use serde::{Deserialize, Serialize};

/// How a direction that is a mean of the T gradients is scaled.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DirectionScale {
    /// It is multiplied by T, so that a learning rate means the same as for Joint.
    #[default]
    Sum,
    /// It is used as the method's paper defines it.
    Raw,
}

impl DirectionScale {
    /// `aggregator` with this scale.
    pub(super) fn of(self, aggregator: impl Aggregator + 'static) -> Box<dyn Aggregator> {
        match self {
            Self::Sum => Box::new(aggregator),
            Self::Raw => Box::new(RawDirection(Box::new(aggregator))),
        }
    }

    /// The method that combines gradients by `aggregator` with this scale.
    pub(super) fn of_gradients(self, aggregator: impl Aggregator + 'static) -> Combine {
        Combine::Gradients(self.of(aggregator))
    }
}
