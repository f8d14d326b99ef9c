//! REFUGE2018: fundus photographs with two tasks on each: segment disc and cup, and recognise glaucoma.
//!
//! - [`verify`] examines every file of the official folders, or of doubled or repacked ones, and lists every problem.
//! - [`Refuge::open`] reads them: squares around the disc, cut once and kept in a cache.
//! - [`FundusSamples`] makes crops of these squares: training crops at random places, evaluation crops at fixed ones.
//! - [`RefugeSynthesis`] draws a set of synthetic photographs in the same folders, marked as synthetic.

mod case;
mod config;
mod crops;
mod drawing;
mod facts;
mod frame;
mod inventory;
mod labels;
mod manifest;
mod mask;
mod names;
mod placement;
mod report;
mod samples;
mod scan;
mod set;
mod splits;
mod spreadsheet;
mod synthesis;
mod verify;

pub use crate::progress::PhotographProgress;
pub use case::Case;
pub use config::RefugeConfig;
pub use crops::square;
pub use names::RefugePart;
pub use placement::CropPlacement;
pub use report::RefugeReport;
pub use samples::{FundusSamples, GLAUCOMA, SEGMENTATION, network_input};
pub use set::Refuge;
pub use splits::Splits;
pub use synthesis::{DrawnSize, RefugeSynthesis};
pub use verify::verify;
