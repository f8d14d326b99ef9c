//! Which parameters decay.

use crate::error::{Result, require};

/// The parameters that weight decay acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecayedParameters {
    /// Every parameter.
    #[default]
    All,
    /// Those for which [`Network::decays`](crate::Network::decays) is true: not biases, nor the scales and shifts of norms.
    Weights,
}

impl DecayedParameters {
    /// The weight decay of one parameter: `weight_decay` if it decays, else 0.
    pub(super) fn decay_of(self, is_weight: impl FnOnce() -> bool, weight_decay: f64) -> f64 {
        if self == Self::All || is_weight() { weight_decay } else { 0.0 }
    }
}

/// Fails unless `weight_decay` is in its range.
pub(super) fn check_weight_decay(weight_decay: f64) -> Result<()> {
    require(weight_decay >= 0.0 && weight_decay.is_finite(), "weight_decay", weight_decay, "at least 0")
}
