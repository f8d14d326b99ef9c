//! Methods that are applied to another one.

mod cr_mogm;
mod fmtl;
mod grouped;
mod perturbed;
mod raw;
mod sam;
mod samo;

pub use cr_mogm::{CrMogm, Smoothing};
pub use fmtl::{Fmtl, Wrapped};
pub use grouped::{BuildAggregator, GroupBy, Grouped};
pub use perturbed::Perturbed;
pub use raw::RawDirection;
pub use sam::Sam;
pub use samo::{Samo, SamoSettings};
