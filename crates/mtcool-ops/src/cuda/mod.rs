//! The operations on an NVIDIA GPU: kernels of our own, matrix products by cuBLAS, convolutions by cuDNN where the feature
//! `cudnn` is on.
//!
//! Functions here work on views of device memory, as the CPU's work on slices; the operations' `cuda_fwd` and backward
//! passes bring the two together. Everything is queued on the device's one stream, and nothing waits for the host inside
//! a step. Sums have a fixed order, and no two threads add to one place in memory, so the same card gives the same bits.

mod conv;
mod cut;
mod dense;
mod disagreement;
mod elementwise;
mod gemm;
mod launch;
mod loss;
mod noise;
mod norm;
mod plane;
mod pool;
mod real;
mod reduce;
mod softmax;
mod transpose;
mod update;

pub(crate) use conv::{convolution, input_gradient, kernel_gradient};
pub(crate) use cut::{cut_labels, cut_picture};
pub(crate) use dense::{Dense, dense, dense_input_gradient, dense_weight_gradient};
pub(crate) use disagreement::{disagreement, disagreement_backward};
pub(crate) use elementwise::{add, bias_activation, copied, join, part, relu, relu_backward};
pub(crate) use loss::{
    ClassLossSums, Classes, class_loss, class_loss_backward, regression_loss, regression_loss_backward,
};
pub(crate) use noise::uniform;
pub(crate) use norm::{Scales, norm, norm_backward};
pub(crate) use plane::{max_pool, max_pool_backward, upsample};
pub(crate) use pool::{free_memory, pool, set_pool};
pub(crate) use real::{Real, dispatch, guard, result, tensor, view};
pub(crate) use reduce::{channel_sums, fold, only};
pub(crate) use softmax::{pooled_softmax, pooled_softmax_backward};
pub(crate) use transpose::{Raise, raise, raise_backward};
pub(crate) use update::{clamp_around, sgd};
