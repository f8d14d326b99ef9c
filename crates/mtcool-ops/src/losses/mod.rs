//! Losses: from a network's output and its targets to a scalar, each in one operation with a backward pass of its own.
//!
//! [`class_loss()`] evaluates any sum of cross-entropy, Dice and focal loss with one softmax and one pass over the logits,
//! [`regression_loss()`] any sum of losses on numbers. `loss_settings` says what they compute; `sums` is the forward pass,
//! `gradients` the backward pass.

mod focal;
mod frequency;
mod gradients;
mod maps;
mod operation;
mod regression;
mod spec;
mod sums;

pub use frequency::{WeightRule, class_weights};
pub use operation::{class_loss, cross_entropy};
pub use regression::regression_loss;
pub use spec::LossSpec;
