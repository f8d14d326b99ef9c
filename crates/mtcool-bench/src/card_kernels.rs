//! What an NVIDIA card has kernels for.

pub use mtcool_models::CardKernels;
