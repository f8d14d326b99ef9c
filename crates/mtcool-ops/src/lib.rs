//! Fast differentiable tensor operations for candle, with gradients that agree with PyTorch's.
//!
//! Every operation is a candle custom operation with its own backward pass, for `f32` and `f64` tensors on the CPU and,
//! with the feature `cuda`, on NVIDIA GPUs. Maps are NCHW. candle's own max-pool, upsampling and ReLU have wrong or
//! unusual gradients, so nothing here, and nothing in the workspace, trains through them.
//!
//! - **A frozen operand costs nothing.** The backward pass of convolutions and linear layers computes the gradient of an operand only
//!   if the operand is tracked, and the gradient of a kernel only for the [`Rows`] that train: in MT-COOL, one task's slice of each
//!   layer changes at a time.
//! - **The same bits for any number of threads.** Work is split by shape, never by thread, and partial sums are added in a
//!   fixed order.
//!
//! ```
//! use candle_core::{Device, Tensor, Var};
//! use mtcool_ops::{Activation, Conv2d, conv2d};
//!
//! # fn main() -> candle_core::Result<()> {
//! let x = Tensor::ones((1, 1, 4, 4), candle_core::DType::F32, &Device::Cpu)?;
//! let kernel = Var::ones((2, 1, 3, 3), candle_core::DType::F32, &Device::Cpu)?;
//! let y = conv2d(&x, &kernel, None, Conv2d { activation: Activation::Relu, ..Conv2d::default() })?;
//! assert_eq!(y.dims(), [1, 2, 2, 2]);
//! assert_eq!(y.sum_all()?.to_scalar::<f32>()?, 72.0);
//! # Ok(())
//! # }
//! ```

mod activation;
mod arithmetic;
mod bf16;
mod channels;
mod conv;
#[cfg(feature = "cuda")]
mod cuda;
mod cut;
mod device;
mod disagreement;
mod element;
mod gate;
mod geometry;
mod jobs;
mod linear;
mod loss_settings;
mod losses;
mod matmul;
mod memory;
mod noise;
mod norm;
mod pool;
mod recording;
mod rows;
mod settings;
mod simd;
mod softmax;
mod update;
mod upsample;
mod weighted_sum;

pub use activation::relu;
pub use channels::{join_channels, mean_pixels};
pub use conv::{ChainInput, ConvNormUnit, conv_norm_chain, conv_transpose2d, conv2d};
pub use cut::{cut_labels_on_card, cut_picture_on_card};
pub use device::{free_device_memory, is_device_name, open_device, peak_device_memory};
pub use disagreement::disagreement_on_card;
pub use gate::gated;
pub use linear::{Linear, linear};
pub use loss_settings::{
    ClassLoss, CrossEntropy, Dice, DiceSums, Focal, Huber, LossSettingError, Normalization, RegressionLoss,
};
pub use losses::{LossSpec, WeightRule, class_loss, class_weights, cross_entropy, regression_loss};
pub use memory::keep_freed_memory;
pub use noise::uniform_on_card;
pub use norm::norm;
pub use pool::max_pool2d;
pub use recording::{Deliver, LateGradient, Recording, flatten_features, recomputed, recorded, stack_rows};
pub use rows::Rows;
pub use settings::{Activation, Conv2d, Cut, MaxPool2d, Norm, Precision, SgdStep, Statistics};
pub use softmax::{pooled_softmax, softmax};
pub use update::{clamp_on_card, sgd_on_card};
pub use upsample::upsample_bilinear2d;
pub use weighted_sum::{WeightsOf, weighted_sum};

/// The example in README.md as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
