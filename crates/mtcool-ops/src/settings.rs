//! The settings of the operations, as plain values that the processor's kernels and the card's read alike.

use candle_core::{Result, bail};

use crate::rows::Rows;

/// The activation that is applied to the output of a linear operation, inside the same kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// No activation.
    #[default]
    Identity,
    /// `max(0, x)`; its gradient at 0 is 0, as in PyTorch.
    Relu,
}

/// How exactly the operands of multiplications are represented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// The operands as they are.
    #[default]
    Full,
    /// Operands rounded to bf16 (8 bits of mantissa), sums in f32; f32 tensors only. Everything between the multiplications
    /// (normalisation, activations, losses, parameters) stays f32.
    Bf16,
    /// Operands rounded to TF32 (10 bits of mantissa) by the tensor cores of an NVIDIA GPU, sums in f32; f32 tensors on
    /// such a device only.
    Tf32,
}

/// Settings of [`conv2d`](crate::conv2d). The default is stride 1, no padding, no dilation, no activation, all rows
/// trained, and full precision.
#[derive(Clone, Debug)]
pub struct Conv2d {
    /// Distance between neighbouring windows, in pixels, the same in both directions.
    pub stride: usize,
    /// Width of the border of zeros around the input, in pixels, the same on all sides.
    pub padding: usize,
    /// Distance between neighbouring taps of a kernel, in pixels.
    pub dilation: usize,
    /// Applied to the output inside the operation.
    pub activation: Activation,
    /// Max-pooling after the activation, inside the operation: only the pooled map is an output.
    pub pool: Option<MaxPool2d>,
    /// Kernel rows whose weight and bias gradients are computed.
    pub rows: Rows,
    /// Precision of the operands of every multiplication, also in the backward pass.
    pub precision: Precision,
}

impl Default for Conv2d {
    fn default() -> Self {
        Self {
            stride: 1,
            padding: 0,
            dilation: 1,
            activation: Activation::Identity,
            pool: None,
            rows: Rows::All,
            precision: Precision::Full,
        }
    }
}

/// Window and stride of a max-pool, both in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool2d {
    /// Side of the square window.
    pub kernel: usize,
    /// Distance between neighbouring windows.
    pub stride: usize,
}

impl MaxPool2d {
    /// Windows that tile the plane: stride equals kernel.
    pub fn tiling(kernel: usize) -> Self {
        Self { kernel, stride: kernel }
    }

    pub(crate) fn output_side(self, side: usize) -> usize {
        (side - self.kernel) / self.stride + 1
    }

    /// Whether the windows fit a plane.
    pub(crate) fn check(self, height: usize, width: usize) -> Result<()> {
        let Self { kernel, stride } = self;
        if kernel == 0 || stride == 0 || kernel > height.min(width) {
            bail!(
                "max-pool: kernel {kernel} and stride {stride} do not fit a {height}x{width} plane (both at least 1)"
            );
        }
        Ok(())
    }
}

/// Which elements are normalised together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// The channels of a group, sample by sample (Wu and He 2018).
    Group {
        /// Groups of channels; divides the channels.
        groups: usize,
    },
    /// Each channel over the whole batch (Ioffe and Szegedy 2015), as in training.
    Batch,
}

/// Settings of [`norm`](crate::norm).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Which elements are normalised together.
    pub statistics: Statistics,
    /// Added to the variance; positive.
    pub eps: f64,
    /// Applied to the output inside the operation.
    pub activation: Activation,
}

/// A rectangle that is cut out of a source picture, and where it lies there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// The rectangle's centre (x, y) in the source, in pixels; pixel k covers the interval from k to k + 1.
    pub center: [f64; 2],
    /// The matrix, row by row, that maps an offset (x, y) from the centre of the crop to an offset in the source.
    pub to_source: [[f64; 2]; 2],
    /// Rows and columns of the result.
    pub size: [usize; 2],
}

/// One step of stochastic gradient descent: `d = g + weight_decay p`, `v' = momentum v + d` (the first time `d`),
/// `p' = p - rate v'`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep {
    /// Learning rate.
    pub rate: f64,
    /// In `0..1`.
    pub momentum: f64,
    /// At least 0.
    pub weight_decay: f64,
}
