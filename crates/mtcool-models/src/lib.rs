//! Networks whose layers the tasks own together: cooperative layers, fusion, LeNet, U-Net; and other architectures of theirs.
//!
//! In a cooperative layer with C output channels, each of T tasks owns an even share of the channels. Task k's kernel reads the
//! fused output of the previous layer and computes the task's share. With concatenation as the fusion, the network computes the
//! same function as the conventional network of the same widths; the only difference is that each row of a kernel belongs to a
//! task. So one network serves Joint, the gradient methods and MT-COOL, and one convolution does the work of T.
//!
//! [`Architecture`] names what may stand in the place of the layers that all tasks own together: a network per task with cross-stitch
//! units, attention, or experts with gates.
//!
//! # One set of gradients for all methods
//!
//! In [`UNet`], the classification of task 1 reads the segmentation map of task 0, so its loss depends on task 0's own
//! parameters, phi_0. Methods treat that dependence differently: where the losses are added up, phi_0 would be trained by both
//! losses; where each task's own parameters get that task's gradient alone, by one. For all methods to see the same gradients,
//! the network decides: by default ([`MapGradient::ThetaOnly`]) the gradient of the classification passes through task 0's
//! decoder into theta, and phi_0 counts as a constant. The gradient of the sum of the losses with respect to phi_0 is then the
//! gradient of task 0's loss.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use mtcool_core::Network;
//! use mtcool_models::{Independent, LeNet};
//!
//! # fn main() -> candle_core::Result<()> {
//! let lenet = LeNet::new(LeNet::mnist(&[5, 5]))?;
//! let parameters = lenet.initial_parameters(0, DType::F32, &Device::Cpu)?;
//! let digits = Tensor::zeros((8, 1, 28, 28), DType::F32, &Device::Cpu)?;
//! assert_eq!(lenet.forward(&parameters, 1, &digits)?.dims(), [8, 5]);
//!
//! let separate = Independent::new(vec![
//!     Box::new(LeNet::new(LeNet::mnist(&[5]))?),
//!     Box::new(LeNet::new(LeNet::mnist(&[5]))?),
//! ])?;
//! let count = separate.initial_parameters(0, DType::F32, &Device::Cpu)?.element_count();
//! assert!((count as f64 / parameters.element_count() as f64 - 2.0).abs() < 0.05);
//! # Ok(())
//! # }
//! ```

mod architecture;
mod attention;
mod card;
mod conv_norm;
mod cooperative;
mod cross_stitch;
mod experts;
mod fusion;
mod independent;
mod lenet;
mod recorded;
mod spec;
mod tiles;
mod unet;

pub use architecture::Architecture;
pub use card::{CardKernels, PlacedNoise};
pub use cooperative::{CooperativeLayer, Transform, allocated, shares};
pub use cross_stitch::CrossStitch;
pub use experts::Experts;
pub use fusion::{Features, Fusion};
pub use independent::Independent;
pub use lenet::{LeNet, LeNetConfig};
pub use spec::{Init, ParameterSpec, initialize};
pub use tiles::{Tile, Tiling};
pub use unet::{Classifier, Head, MapGradient, MapOf, UNet, UNetConfig};

/// The example in README.md as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
