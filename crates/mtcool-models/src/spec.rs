//! Specifications of a network's parameters, from which both their number and their initial values follow.

use candle_core::{DType, Device, Result, Shape, Tensor};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{ParameterName, Parameters};

/// The initial values of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    /// Drawn from U(-1/sqrt(n), 1/sqrt(n)), n the number of inputs of a unit: PyTorch's default for convolutions and linear layers.
    FanIn(usize),
    /// These values, in row-major order.
    Values(Vec<f64>),
}

/// Name, shape and initial distribution of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// Its part, the task that owns it and the layer that uses it.
    pub name: ParameterName,
    /// `[O, C, kh, kw]` for a convolution, `[O, I]` for a linear layer, `[O]` for a bias.
    pub shape: Vec<usize>,
    /// Its initial values.
    pub init: Init,
    /// Whether weight decay acts on it if the optimiser decays weights only: true for kernels and matrices, false for biases, the
    /// scales and shifts of norms, and the weights of a fusion.
    pub decays: bool,
}

/// Whether weight decay acts on the parameter `name` if the optimiser decays weights only; true if it is none of `specs`.
pub(crate) fn decays(specs: &[ParameterSpec], name: &ParameterName) -> bool {
    specs.iter().find(|spec| spec.name == *name).is_none_or(|spec| spec.decays)
}

/// The half-width of the initial distribution of the parameter `name`, or 1 if it begins with fixed values; `None` if it is none of
/// `specs`.
pub(crate) fn initial_width(specs: &[ParameterSpec], name: &ParameterName) -> Option<f64> {
    let spec = specs.iter().find(|spec| spec.name == *name)?;
    Some(match &spec.init {
        Init::FanIn(inputs) => half_width(*inputs),
        Init::Values(_) => 1.0,
    })
}

fn half_width(inputs: usize) -> f64 {
    1.0 / (inputs as f64).sqrt()
}

/// The initial parameters of `specs`. Each is drawn from a random stream that follows from `seed` and its name, so that a further
/// layer changes the values of no other.
///
/// # Errors
/// If the tensors cannot be created on `device`.
pub fn initialize(specs: &[ParameterSpec], seed: u64, dtype: DType, device: &Device) -> Result<Parameters> {
    let draw = |spec: &ParameterSpec| {
        let shape = Shape::from(spec.shape.clone());
        let tensor = match &spec.init {
            Init::FanIn(inputs) => {
                let mut generator = stream(seed, Purpose::Initialization, [0; 4], &spec.name.to_string());
                uniform(&mut generator, half_width(*inputs), &shape, dtype, device)?
            }
            Init::Values(values) => Tensor::from_vec(values.clone(), shape, device)?.to_dtype(dtype)?,
        };
        Ok((spec.name.clone(), tensor))
    };
    specs.iter().map(draw).collect()
}
