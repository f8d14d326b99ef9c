//! The sizes and settings of a LeNet.

use mtcool_ops::Precision;

use crate::architecture::Architecture;
use crate::fusion::Fusion;

/// Sizes and settings of a [`LeNet`](super::LeNet).
#[derive(Clone, Debug, PartialEq)]
pub struct LeNetConfig {
    /// Input channels, height, width; the sides must survive two rounds of (5x5 convolution, 2x2 pooling).
    pub input: (usize, usize, usize),
    /// Channels of the first convolution, over all tasks.
    pub conv1: usize,
    /// Channels of the second convolution, over all tasks.
    pub conv2: usize,
    /// Units of the fully connected layer, over all tasks.
    pub hidden: usize,
    /// Classes of each task.
    pub classes: Vec<usize>,
    /// Each task's part of the channels and units, in proportion to these numbers; empty for even shares.
    pub allocation: Vec<f64>,
    /// How the features of all tasks are combined.
    pub fusion: Fusion,
    /// What stands in front of the heads.
    pub architecture: Architecture,
    /// Precision of the operands of convolutions and linear layers.
    pub precision: Precision,
}

/// Side of the kernels in pixels.
pub(super) const KERNEL: usize = 5;
/// Side of the pooling windows in pixels.
pub(super) const POOL: usize = 2;
