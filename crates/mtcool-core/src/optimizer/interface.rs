//! [`Optimizer`], the trait of all optimisers: a pure update with explicit state.

use std::fmt;

use candle_core::Tensor;

use crate::error::{Error, Result};
use crate::kernels::Kernels;
use crate::parameter_name::ParameterName;
use crate::parameters::{Gradients, Parameters};
use crate::state_tensors::StateTensors;

/// An optimiser: settings, and a pure function from parameters, gradients and state to new parameters and a new state.
pub trait Optimizer: fmt::Debug + Send + Sync {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] naming the first setting outside its range.
    fn check(&self) -> Result<()>;

    /// What the state keeps of each parameter, such as `velocity`: the first part of the names of its tensors.
    fn slots(&self) -> &'static [&'static str];

    /// The slot with the running mean of the directions, if there is one.
    fn velocity(&self) -> Option<&'static str> {
        None
    }

    /// One update of the parameters that have a gradient: their new values, and the new state. A parameter without a gradient
    /// keeps its value and its state.
    ///
    /// # Errors
    /// If a gradient belongs to no parameter or has another shape, or a tensor operation fails.
    fn step(&self, inputs: &OptimizerInputs<'_>, state: StateTensors) -> Result<(Parameters, StateTensors)>;
}

/// What one update of an [`Optimizer`] depends on besides its state.
#[derive(Clone, Copy)]
pub struct OptimizerInputs<'a> {
    /// All parameters.
    pub parameters: &'a Parameters,
    /// The direction to descend, for all parameters or for some.
    pub gradients: &'a Gradients,
    /// The learning rate.
    pub rate: f64,
    /// Whether weight decay acts on a parameter if the optimiser decays weights only ([`DecayedParameters::Weights`]): false
    /// for biases and for the scales and shifts of norms.
    ///
    /// [`DecayedParameters::Weights`]: crate::DecayedParameters::Weights
    pub is_weight: &'a dyn Fn(&ParameterName) -> bool,
    /// What the parameters' device has kernels for.
    pub kernels: Option<&'a dyn Kernels>,
}

impl<'a> OptimizerInputs<'a> {
    /// With every parameter counted as a weight, and without kernels.
    pub fn new(parameters: &'a Parameters, gradients: &'a Gradients, rate: f64) -> Self {
        Self { parameters, gradients, rate, is_weight: &|_| true, kernels: None }
    }

    /// The parameter called `name`, as a constant.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if there is none.
    pub(super) fn parameter(&self, name: &ParameterName) -> Result<Tensor> {
        let unknown = || Error::Mismatch {
            what: format!("gradient of `{name}`"),
            expected: "the name of a parameter".into(),
            got: "no parameter of that name".into(),
        };
        Ok(self.parameters.get(name).ok_or_else(unknown)?.detach())
    }
}

impl fmt::Debug for OptimizerInputs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parameters, gradients, rate, .. } = self;
        let counts = (parameters.len(), gradients.len());
        f.debug_struct("OptimizerInputs").field("counts", &counts).field("rate", rate).finish_non_exhaustive()
    }
}
