//! One parameter's update as plain data: what an optimiser asks of the processor or of a device's own kernels.

use candle_core::Tensor;

/// How one parameter p moves along its gradient g at learning rate r.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UpdateRule {
    /// Stochastic gradient descent with momentum.
    Momentum(MomentumRule),
    /// Adam with decoupled weight decay.
    Adam(AdamRule),
}

/// Stochastic gradient descent:
///
/// 1. `d = g + weight_decay * p`
/// 2. `v' = momentum * v + d`; in the first update `v' = d`
/// 3. `p' = p - r * v'`; with `nesterov`, `p' = p - r * (d + momentum * v')`
///
/// The memory is the velocity `[v]`; without momentum there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MomentumRule {
    /// In `0..1`.
    pub momentum: f64,
    /// Whether to look ahead along the velocity.
    pub nesterov: bool,
    /// At least 0.
    pub weight_decay: f64,
}

/// Adam:
///
/// 1. `m' = beta1 * m + (1 - beta1) * g`
/// 2. `v' = beta2 * v + (1 - beta2) * g^2`
/// 3. `p' = (1 - r * weight_decay) * p - r / (1 - beta1^t) * m' / (sqrt(v' / (1 - beta2^t)) + eps)`
///
/// The memory is the first and the second moment `[m, v]`, which count as zero in the first update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamRule {
    /// In `0..1`.
    pub beta1: f64,
    /// In `0..1`.
    pub beta2: f64,
    /// Positive.
    pub eps: f64,
    /// At least 0.
    pub weight_decay: f64,
    /// t: which update of this parameter it is, counted from 1.
    pub step: u64,
}

/// The factors of an [`AdamRule`]'s third line, the same for all elements:
/// `p' = kept * p - rate * m' / (sqrt(v') * root_correction + eps)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamFactors {
    /// `1 - r * weight_decay`.
    pub kept: f64,
    /// `r / (1 - beta1^t)`.
    pub rate: f64,
    /// `1 / sqrt(1 - beta2^t)`.
    pub root_correction: f64,
}

impl AdamRule {
    /// The factors at learning rate `rate`.
    pub fn factors(&self, rate: f64) -> AdamFactors {
        let correction = |beta: f64| 1.0 - beta.powf(self.step as f64);
        AdamFactors {
            kept: 1.0 - rate * self.weight_decay,
            rate: rate / correction(self.beta1),
            root_correction: 1.0 / correction(self.beta2).sqrt(),
        }
    }
}

/// One parameter with everything that its update depends on. All tensors have one shape, dtype and device.
#[derive(Clone, Copy, Debug)]
pub struct ParameterUpdate<'a> {
    /// How it moves.
    pub rule: UpdateRule,
    /// r, the learning rate.
    pub rate: f64,
    /// p.
    pub parameter: &'a Tensor,
    /// g.
    pub gradient: &'a Tensor,
    /// What the rule has kept of earlier updates, in the rule's order; empty in the first update.
    pub memory: &'a [Tensor],
}

/// The outcome of a [`ParameterUpdate`]: constants of the parameter's shape.
#[derive(Clone, Debug)]
pub struct UpdatedParameter {
    /// p'.
    pub parameter: Tensor,
    /// What the rule keeps for the next update, in the rule's order.
    pub memory: Vec<Tensor>,
}
