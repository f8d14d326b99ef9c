//! What a network's parameters are, said once: their count and their initial values both follow from it.

use candle_core::{DType, Device, Result, Shape, Tensor};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{ParameterName, Parameters};

/// How a parameter starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    /// U(-1/sqrt(n), 1/sqrt(n)) for `n` inputs of a unit: PyTorch's default for convolutions and linear layers.
    FanIn(usize),
    /// These values, in row-major order.
    Values(Vec<f64>),
}

/// Name, shape and initial distribution of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// Who owns it and where it is used.
    pub name: ParameterName,
    /// For a convolution `[O, C, kh, kw]`, for a linear layer `[O, I]`, for a bias `[O]`.
    pub shape: Vec<usize>,
    /// How it starts.
    pub init: Init,
    /// Whether weight decay acts on it if the optimiser decays weights only: true for kernels and matrices, false for biases, the
    /// scales and shifts of norms, and the weights of a fusion.
    pub decays: bool,
}

/// Whether weight decay acts on the parameter `name` if the optimiser decays weights only; true if it is none of `specs`.
pub(crate) fn decays(specs: &[ParameterSpec], name: &ParameterName) -> bool {
    specs.iter().find(|spec| spec.name == *name).is_none_or(|spec| spec.decays)
}

/// Draws the parameters of `specs` from `seed`, each from a stream of its own name: adding a layer changes no other.
///
/// # Errors
/// If the tensors cannot be made on `device`.
pub fn initialize(specs: &[ParameterSpec], seed: u64, dtype: DType, device: &Device) -> Result<Parameters> {
    let draw = |spec: &ParameterSpec| {
        let shape = Shape::from(spec.shape.clone());
        let tensor = match &spec.init {
            Init::FanIn(inputs) => {
                let mut generator = stream(seed, Purpose::Initialization, [0; 4], &spec.name.to_string());
                uniform(&mut generator, 1.0 / (*inputs as f64).sqrt(), &shape, dtype, device)?
            }
            Init::Values(values) => Tensor::from_vec(values.clone(), shape, device)?.to_dtype(dtype)?,
        };
        Ok((spec.name.clone(), tensor))
    };
    specs.iter().map(draw).collect()
}
