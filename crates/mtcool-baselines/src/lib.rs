//! The methods MT-COOL is compared with, one file each.
//!
//! Every method here is a [`mtcool_core::LossWeighting`] or a [`mtcool_core::Aggregator`], trained by
//! [`mtcool_core::GradientMethod`]; none imports another. The Independent baseline is [`Joint`] on networks that share
//! nothing, since the sum of losses then falls apart.

mod aligned_mtl;
mod cagrad;
mod dualproj;
mod dwa;
mod famo;
mod fmtl;
mod graddrop;
mod gradnorm;
mod imtl_g;
mod joint;
mod memory;
mod mgda;
mod nash_mtl;
mod pcgrad;
mod rlw;
mod scalarization;
mod solver;
mod uncertainty;
mod upgrad;

pub use aligned_mtl::{AlignedMtl, AlignedScale};
pub use cagrad::{CaGrad, Rescale};
pub use dualproj::DualProj;
pub use dwa::Dwa;
pub use famo::Famo;
pub use fmtl::{Fmtl, Wrapped};
pub use graddrop::GradDrop;
pub use gradnorm::GradNorm;
pub use imtl_g::ImtlG;
pub use joint::Joint;
pub use mgda::{Mgda, Normalization};
pub use nash_mtl::NashMtl;
pub use pcgrad::PcGrad;
pub use rlw::RandomWeighting;
pub use scalarization::Scalarization;
pub use uncertainty::Uncertainty;
pub use upgrad::UpGrad;
