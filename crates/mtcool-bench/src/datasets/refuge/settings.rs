//! The table `data.settings` of an experiment on REFUGE2018.

use mtcool_data::Augmentation;
use serde::{Deserialize, Serialize};

/// How photographs are cut, split, changed and weighed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RefugeSettings {
    /// Side of the square around the disc, in pixels of the official photographs: on drawn ones that are n times smaller, the
    /// same part of the retina has n times fewer pixels.
    pub crop: usize,
    /// Side of what the network sees of it, in pixels: a divisor of what the crop has on the photographs at hand.
    pub side: usize,
    /// Which tenth of the 800 is held out for selection, the same for all runs.
    pub split_seed: u64,
    /// Weights of background, rim and cup in the loss; none if empty.
    pub class_weights: Vec<f64>,
    /// How training crops are changed at random.
    pub augmentation: Augmentation,
}

/// The paper's crops.
impl Default for RefugeSettings {
    fn default() -> Self {
        Self { crop: 512, side: 512, split_seed: 0, class_weights: Vec::new(), augmentation: Augmentation::default() }
    }
}
