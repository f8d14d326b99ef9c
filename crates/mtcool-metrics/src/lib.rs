//! What is measured on predictions: classification, segmentation, and whether paired results differ.
//!
//! Nothing here reads files or knows a data set. Where a quantity is undefined the challenge's evaluation kit or scikit-learn
//! decides, each item says how: a NaN that is documented, never a panic.

mod classification;
mod confusion;
mod error;
mod metric;
mod paired;
mod segmentation;
mod summary;

pub use classification::BinaryScores;
pub use confusion::Confusion;
pub use error::MetricError;
pub use metric::Metric;
pub use paired::{PairedTTest, WilcoxonTest};
pub use segmentation::{ClassMap, ClassSet, MaskCoding, Region, cup_to_disc_error, cup_to_disc_ratio, dice};
pub use summary::Summary;
