//! Networks whose layers are owned by tasks: cooperative layers, fusion, LeNet, U-Net.
//!
//! A cooperative layer with C output channels gives each of T tasks an even share of them. Task k's kernel reads the fused
//! output of the previous layer and writes its share. With concatenation as the fusion, the network computes the same
//! function as the conventional one of the same widths and differs only in who owns which rows of each kernel: one network
//! serves joint training, the gradient methods and MT-COOL, and one convolution does the work of T.
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

mod card;
mod conv_norm;
mod cooperative;
mod fusion;
mod independent;
mod lenet;
mod recorded;
mod spec;
mod tiles;
mod unet;

pub use card::{CardKernels, PlacedNoise};
pub use cooperative::{CooperativeLayer, Transform, shares};
pub use fusion::{Features, Fusion};
pub use independent::Independent;
pub use lenet::{LeNet, LeNetConfig};
pub use spec::{Init, ParameterSpec, initialize};
pub use tiles::{Tile, Tiling};
pub use unet::{Head, UNet, UNetConfig};
