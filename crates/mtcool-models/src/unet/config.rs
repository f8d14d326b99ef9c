//! What a U-Net consists of: its heads, its sizes, and the way of the classification's gradient.

use mtcool_ops::{Precision, Statistics};

use crate::architecture::Architecture;

/// What a task predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// A class for each pixel: logits `[B, K, H, W]` from a decoder.
    Segmentation {
        /// K.
        classes: usize,
    },
    /// A class for the image: logits `[B, K]` from the bottom features beside the map of the first segmentation.
    Classification {
        /// K.
        classes: usize,
    },
    /// A classification with a map of its own, which only this head's loss trains. A network of this one task has all the
    /// layers that the other kind of classification reads.
    LoneClassification {
        /// K.
        classes: usize,
        /// Classes of its map.
        map: usize,
    },
    /// Other answers for the image, `[B, outputs]`: numbers, or logits that do not start at priors. The layers are those of a
    /// classification.
    Image {
        /// Number of outputs.
        outputs: usize,
        /// The map that it reads beside the bottom features.
        map: MapOf,
    },
}

/// The segmentation map that a head with one answer per image reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapOf {
    /// None: the head reads the bottom features alone.
    Nothing,
    /// The map of the first segmentation of the network.
    Segmentation,
    /// A map of its own with this number of classes, which only this head's loss trains.
    Own(usize),
}

impl Head {
    /// Number of output channels: classes or numbers.
    pub(super) fn outputs(self) -> usize {
        match self {
            Self::Segmentation { classes }
            | Self::Classification { classes }
            | Self::LoneClassification { classes, .. } => classes,
            Self::Image { outputs, .. } => outputs,
        }
    }

    /// Classes of the map that the task's own decoder makes; `None` without a decoder.
    pub(super) fn decoded(self) -> Option<usize> {
        match self {
            Self::Segmentation { classes } => Some(classes),
            Self::LoneClassification { map, .. } | Self::Image { map: MapOf::Own(map), .. } => Some(map),
            Self::Classification { .. } | Self::Image { .. } => None,
        }
    }

    /// The map that it reads; `None` for a segmentation.
    pub(super) fn reads(self) -> Option<MapOf> {
        match self {
            Self::Segmentation { .. } => None,
            Self::Classification { .. } => Some(MapOf::Segmentation),
            Self::LoneClassification { map, .. } => Some(MapOf::Own(map)),
            Self::Image { map, .. } => Some(map),
        }
    }
}

/// The layers of the classification heads, between the map that they read and their logits.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Classifier {
    /// The bottom features beside the pooled softmax map; convolution 3x3 with bias, ReLU, mean over the pixels, linear layer.
    ///
    /// With single images per batch and momentum, its units can fall below zero for every image, and then never recover.
    #[default]
    Plain,
    /// The same with a normalisation before the ReLU, and with the areas of the map's classes beside the pooled features.
    ///
    /// 1. `h = relu(norm(conv(bottom features, pooled softmax map)))` `[B, classifier_width, h, w]`. Each channel of each image is
    ///    normalised over its pixels, without scale and shift, so that no unit is silent for an image. The mean of a unit that marks
    ///    a part f of the pixels is about sqrt(f (1 - f)): it measures the size of what the unit finds.
    /// 2. `a` `[B, map classes]`: the mean softmax probability of each class over the whole map. All classes but the first enter
    ///    the last layer; the first follows from them, since the areas add up to 1.
    /// 3. `logits = fc(16 (mean of h over the pixels - 1 / sqrt(2 pi)), 16 (a - c))`, with c = 1 / K for a map of K classes that only
    ///    this head trains ([`MapOf::Own`]), and 0 otherwise. Means and areas differ by a few hundredths between images: without
    ///    centre and factor, what all images have in common would hide it. The weights of `fc` start at 0 and its bias at the
    ///    logarithms of `priors`, so that the first predictions are the priors.
    Normalized {
        /// The probability of each class before training, `[classes]`; `None` for equal ones. Where class weights balance the loss, the
        /// balanced classes are equally probable, whatever their frequencies are.
        priors: Option<Vec<f64>>,
    },
}

/// How far the gradient of a head follows the map of the first segmentation, task s, if it reads that map ([`MapOf::Segmentation`]).
///
/// The map is made by task s's decoder, so that the loss of the classification depends on phi_s, task s's own parameters. A
/// method that adds the losses up would train phi_s with both losses; a method that gives each task's own parameters the
/// gradient of that task alone would not. This setting is a property of the network, so that all methods get the same
/// gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapGradient {
    /// Through the decoder into theta; phi_s counts as a constant and gets none.
    #[default]
    ThetaOnly,
    /// Into theta and phi_s: the derivative of the loss with respect to everything that it depends on.
    Everything,
    /// Not at all: the map counts as a constant, and the classification reaches theta by the bottom features alone.
    None,
}

/// Sizes and settings of a [`UNet`](super::UNet).
#[derive(Clone, Debug, PartialEq)]
pub struct UNetConfig {
    /// Channels of the images.
    pub in_channels: usize,
    /// Channels of the first level, over all tasks; each further level has twice as many.
    pub base: usize,
    /// Poolings on the way down; both sides of an image must be divisible by 2^depth.
    pub depth: usize,
    /// The encoder; hard sharing, cross-stitch or MTAN.
    pub architecture: Architecture,
    /// Each task's part of the encoder's channels, in proportion to these numbers; empty for even shares. With group
    /// normalisation, a task's part is rounded to whole groups.
    pub allocation: Vec<f64>,
    /// What is normalised together. [`Statistics::Batch`] has no running means: in evaluation as in training, the means are those
    /// of the present batch, so that the prediction for an image depends on the other images of the batch.
    pub statistics: Statistics,
    /// Added to each variance; positive.
    pub eps: f64,
    /// Layers of the classification heads.
    pub classifier: Classifier,
    /// Channels of a classification head's convolution.
    pub classifier_width: usize,
    /// Precision of the operands of convolutions and linear layers.
    pub precision: Precision,
    /// One head per task; a [`Head::Classification`] needs a segmentation among them.
    pub heads: Vec<Head>,
    /// How far the gradient of a head follows the first segmentation's map, which it reads.
    pub map_gradient: MapGradient,
    /// Levels, from the top, of which only the input is kept for the backward pass, which computes what is inside again; 0 to
    /// depth + 1. This changes memory and time and no bit of a result. The top level has half of all maps, the next one a quarter,
    /// while each level takes about the same time.
    pub recomputed_levels: usize,
}

impl Default for UNetConfig {
    /// The paper's sizes, from 16 channels to 256, without heads.
    fn default() -> Self {
        Self {
            in_channels: 3,
            base: 16,
            depth: 4,
            architecture: Architecture::HardSharing,
            allocation: Vec::new(),
            statistics: Statistics::Group { groups: 8 },
            eps: 1e-5,
            classifier: Classifier::default(),
            classifier_width: 64,
            precision: Precision::Full,
            heads: Vec::new(),
            map_gradient: MapGradient::default(),
            recomputed_levels: 0,
        }
    }
}
