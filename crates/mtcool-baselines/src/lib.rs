//! The methods MT-COOL is compared with, one file each.
//!
//! Every method here is a [`mtcool_core::LossWeighting`] or a [`mtcool_core::Aggregator`], trained by
//! [`mtcool_core::GradientMethod`]; none imports another. The Independent baseline is [`Joint`] on networks that share
//! nothing, since the sum of losses then falls apart.

mod joint;

pub use joint::Joint;
