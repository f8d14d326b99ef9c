//! Data sets for multi-task learning: fetched, verified, split, batched, and synthetic ones.
//!
//! This crate stands alone: it knows tensors and files, but no method and no network.
//!
//! - [`Mnist`]: even and odd digits as two five-class problems, from the four IDX files in a folder.
//! - [`mnist::fetch`](mnist::fetch()) downloads the files, [`digits`] draws synthetic ones in the same layout, and every read
//!   verifies them.
//! - [`HrfAv`]: photographs of the retina with two segmentation tasks on each: vessels, and arteries against veins.
//! - [`Refuge`]: segmentation of disc and cup, and recognition of glaucoma, on the same photographs, from the official folders.
//! - [`folder`]: a folder of one's own pictures with any number of tasks, and an example set of that kind.
//! - [`fundus`] draws such photographs with their ground truth; [`hrf_av::synthesize`] and [`refuge::RefugeSynthesis`] draw
//!   whole sets.
//! - [`Loader`]: batches in an order that follows from a seed and a position alone, prepared on another thread;
//!   [`SharedLoader`] for tasks that share their images.
//!
//! ```
//! use std::sync::Arc;
//! use candle_core::{Device, Tensor};
//! use mtcool_data::{Labelled, Loader, LoaderConfig};
//!
//! # fn main() -> mtcool_data::Result<()> {
//! let inputs = Tensor::arange(0f32, 10.0, &Device::Cpu)?;
//! let targets = Tensor::arange(0u32, 10, &Device::Cpu)?;
//! let data = Arc::new(Labelled::new(inputs, targets)?);
//! let config = LoaderConfig { batch_size: 3, seed: 7, stream: 0 };
//! let mut loader = Loader::new(data.clone(), config, 0)?;
//! let first: Vec<_> = (0..5).map(|_| loader.next()).collect::<mtcool_data::Result<_>>()?;
//! // A loader that starts at batch 4 continues where the first one was.
//! let mut resumed = Loader::new(data, config, 4)?;
//! assert_eq!(resumed.next()?.targets.to_vec1::<u32>()?, first[4].targets.to_vec1::<u32>()?);
//! # Ok(())
//! # }
//! ```

pub mod augment;
pub mod cache;
mod cutter;
mod dataset;
pub mod digits;
mod download;
mod error;
mod files;
mod finding;
pub mod folder;
pub mod fundus;
#[doc(hidden)]
pub mod fuzzing;
pub mod hrf_av;
mod jpeg;
mod loader;
mod manifest;
pub mod mnist;
mod order;
mod origin;
pub mod picture;
mod prefetch;
mod problems;
mod progress;
pub mod refuge;
mod shared;
mod sheets;

pub use augment::{Augmentation, Change};
pub use cutter::Cutter;
pub use dataset::{Dataset, Labelled, Sample};
pub use download::DownloadProgress;
pub use error::{Error, Result};
pub use finding::{Defects, Finding, ProblemKind};
pub use hrf_av::HrfAv;
pub use loader::Loader;
pub use mnist::Mnist;
pub use order::LoaderConfig;
pub use origin::Origin;
pub use problems::{ProblemGroup, Problems};
pub use progress::PhotographProgress;
pub use refuge::Refuge;
pub use shared::{SampleDraw, SharedDataset, SharedLoader, SharedSample};

/// The example in README.md as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
