//! The methods MT-COOL is compared with, one file each.
//!
//! Every method here is a [`mtcool_core::LossWeighting`] or a [`mtcool_core::Aggregator`], trained by
//! [`mtcool_core::GradientMethod`]; none imports another. The Independent baseline is [`Joint`] on networks that share
//! nothing, since the sum of losses then falls apart.

mod cagrad;
mod graddrop;
mod joint;
mod mgda;
mod pcgrad;
mod scalarization;
mod solver;

pub use cagrad::{CaGrad, Rescale};
pub use graddrop::GradDrop;
pub use joint::Joint;
pub use mgda::{Mgda, Normalization};
pub use pcgrad::PcGrad;
pub use scalarization::Scalarization;
