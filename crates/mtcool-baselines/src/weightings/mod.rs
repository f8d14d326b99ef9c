//! Weights on the losses, known before any gradient.

mod cosmos;
mod dwa;
mod famo;
mod geometric_mean;
mod go4align;
mod igb;
mod imtl_l;
mod joint;
mod ldc_mtl;
mod pbi;
mod rlw;
mod scalarization;
mod scale_invariant;
mod stch;
mod stch_log;
mod uncertainty;

pub use cosmos::Cosmos;
pub use dwa::Dwa;
pub use famo::Famo;
pub use geometric_mean::GeometricMean;
pub use go4align::Go4Align;
pub use igb::Igb;
pub use imtl_l::ImtlL;
pub use joint::Joint;
pub use ldc_mtl::LdcMtl;
pub use pbi::Pbi;
pub use rlw::RandomWeighting;
pub use scalarization::Scalarization;
pub use scale_invariant::ScaleInvariant;
pub use stch::Stch;
pub use stch_log::StchLog;
pub use uncertainty::Uncertainty;
