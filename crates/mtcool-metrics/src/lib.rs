//! What is measured on predictions, and what a table says about methods: metrics, intervals, tests and ranks.
//!
//! Everything takes plain slices and gives plain numbers: no tensors, no files, no data sets.
//!
//! ```
//! # fn main() -> Result<(), mtcool_metrics::MetricError> {
//! use mtcool_metrics::{BinaryScores, Bootstrap, PairedTTest, WilcoxonTest, holm};
//!
//! // A two-class problem: scores and labels of eight cases.
//! let scores = [0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1];
//! let labels = [true, true, false, true, false, true, false, false];
//! let ranked = BinaryScores::new(&scores, &labels)?;
//! assert_eq!(ranked.auroc(), 13.0 / 16.0);
//! assert_eq!(ranked.at_threshold(0.5).sensitivity(), 0.75);
//!
//! // Its interval over other cases; resamples that lack a class have no AUROC.
//! let interval = Bootstrap::default().statistic(scores.len(), |cases| {
//!     let scores: Vec<f64> = cases.iter().map(|&case| scores[case]).collect();
//!     let labels: Vec<bool> = cases.iter().map(|&case| labels[case]).collect();
//!     Some(BinaryScores::new(&scores, &labels).ok()?.auroc()).filter(|auroc| !auroc.is_nan())
//! })?;
//! assert!(interval.low < interval.estimate && interval.estimate < interval.high);
//!
//! // Two methods on the same cases: do they differ?
//! let (a, b) = ([70.0, 81.0, 64.0, 90.0, 77.0], [72.0, 85.0, 65.0, 93.0, 82.0]);
//! let p = [PairedTTest::new(&a, &b)?.p, WilcoxonTest::new(&a, &b)?.p];
//! assert!(p[0] < 0.05 && p[1] == 0.0625);
//! assert!(holm(&p)?[0] >= p[0]);
//! # Ok(())
//! # }
//! ```
//!
//! | question | items |
//! |---|---|
//! | how good is a classifier? | [`BinaryScores`], [`Confusion`], [`ClassTable`] |
//! | how good is a segmentation? | [`dice`], [`hausdorff_95`], [`Confusion::of_pixels`], [`cup_to_disc_ratio`], [`cup_to_disc_error`] |
//! | how good are predicted numbers? | [`Regression`] |
//! | how certain is a figure? | [`Summary`] over seeds, [`quantile`], [`Bootstrap`] over cases, or over seeds and cases |
//! | do two methods differ over other seeds and other cases? | [`CrossedDifference`] |
//! | do two methods differ on the same cases? | [`PairedTTest`], [`WilcoxonTest`]; [`holm`] for several comparisons |
//! | does a mean over seeds differ from a published one? | [`MeanDifference`] from two [`Summary`] values |
//! | which method is the best over a table? | [`mean_ranks`], [`delta_m`] |
//! | do two figures order the methods alike? | [`rank_correlation`] |
//!
//! Input that a metric is not defined on is a [`MetricError`]. Where only the result is undefined, as an AUROC without positives,
//! metrics follow the challenge's evaluation kit or scikit-learn, some with a NaN, and each says so; intervals, corrections and
//! ranks never give NaN.

mod bootstrap;
mod class_table;
mod classification;
mod confusion;
mod crossed;
mod error;
mod hausdorff;
mod holm;
mod mean_difference;
mod metric;
mod paired;
mod rank_correlation;
mod regression;
mod rounding;
mod segmentation;
mod student;
mod summary;
mod table;

pub use bootstrap::{Bootstrap, Interval};
pub use class_table::ClassTable;
pub use classification::BinaryScores;
pub use confusion::Confusion;
pub use crossed::{CrossedDifference, SeedNoise, Seeds};
pub use error::MetricError;
pub use hausdorff::hausdorff_95;
pub use holm::holm;
pub use mean_difference::MeanDifference;
pub use metric::Metric;
pub use paired::{PairedTTest, WilcoxonTest};
pub use rank_correlation::rank_correlation;
pub use regression::Regression;
pub use rounding::ROUNDING;
pub use segmentation::{ClassMap, ClassSet, MaskCoding, Structure, cup_to_disc_error, cup_to_disc_ratio, dice};
pub use summary::{Summary, quantile};
pub use table::{Better, TaskFigure, delta_m, mean_ranks};

/// The example in README.md as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
