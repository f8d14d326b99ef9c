//! What is trained: a network that several tasks share, and a loss for each task.

use candle_core::{DType, Device, Tensor, TensorId, bail};

use crate::clock::{PassClock, PassTimes};
use crate::diagram::{Diagram, NodeId};
use crate::error::{Error, Result};
use crate::kernels::Kernels;
use crate::parameter_name::ParameterName;
use crate::parameters::{Gradients, Parameters};

/// A network as a pure function of (parameters, inputs).
///
/// A network reads parameters by name and never changes them; adding noise, detaching and cloning is left to the caller. Which
/// task owns which parameter is written in the names. A network may run a backward pass of its own: see [`Handover`].
///
/// [`Handover`]: crate::Handover
pub trait Network: Send + Sync {
    /// T, the number of tasks.
    fn tasks(&self) -> usize;

    /// Fresh parameters from a seed, in the network's order.
    ///
    /// # Errors
    /// If the tensors cannot be made on `device`.
    fn initial_parameters(&self, seed: u64, dtype: DType, device: &Device) -> candle_core::Result<Parameters>;

    /// The output of task `task`, `G_i(M(F_1(x), ..., F_T(x)))`, for its inputs `[B, ...]`: for a classifier, logits
    /// `[B, K]` or `[B, K, H, W]`.
    ///
    /// # Errors
    /// If a parameter is missing or a shape does not fit.
    fn forward(&self, parameters: &Parameters, task: usize, input: &Tensor) -> candle_core::Result<Tensor>;

    /// The outputs of all tasks, task `i` on `inputs[i]`. Networks that can share work between tasks override this.
    ///
    /// # Errors
    /// As [`Network::forward`].
    fn forward_all(&self, parameters: &Parameters, inputs: &[&Tensor]) -> candle_core::Result<Vec<Tensor>> {
        inputs.iter().enumerate().map(|(task, input)| self.forward(parameters, task, input)).collect()
    }

    /// The activity `[B, F]` of the hidden units in front of the last layer of task `task`, 0 where a unit is not active; `None` if
    /// the network does not report it. It serves to find units that are never active, and no training step uses it.
    ///
    /// # Errors
    /// As [`Network::forward`].
    fn hidden_units(
        &self,
        parameters: &Parameters,
        task: usize,
        input: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let _ = (parameters, task, input);
        Ok(None)
    }

    /// The half-width of the distribution from which the parameter `name` is drawn initially, or 1 for a parameter that begins with
    /// fixed values, such as the scales and shifts of norms; `None` if the network does not tell it. MT-COOL can measure its bound b
    /// in it ([`BoundUnit::InitialWidth`](crate::BoundUnit::InitialWidth)).
    fn initial_width(&self, name: &ParameterName) -> Option<f64> {
        let _ = name;
        None
    }

    /// Whether weight decay acts on the parameter `name` if the optimiser decays weights only
    /// ([`DecayedParameters::Weights`]). Networks return false for biases and for the scales and shifts of norms.
    ///
    /// [`DecayedParameters::Weights`]: crate::DecayedParameters::Weights
    fn decays(&self, name: &ParameterName) -> bool {
        let _ = name;
        true
    }

    /// Adds the layers from `input` to the output of task `task` to `diagram`, the same calculation as [`Network::forward`], and
    /// returns the last one. Files for other programs are written from it.
    ///
    /// # Errors
    /// If the network does not describe its layers, which is the default.
    fn describe(&self, task: usize, input: NodeId, diagram: &mut Diagram) -> candle_core::Result<NodeId> {
        let _ = (task, input, diagram);
        bail!("this network does not describe its layers: expected a network with `Network::describe`")
    }
}

/// loss_i: a function of (output, target) whose value is a scalar.
pub type Loss = Box<dyn Fn(&Tensor, &Tensor) -> candle_core::Result<Tensor> + Send + Sync>;

/// What the output of a task says, so that two predictions can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputKind {
    /// Logits `[B, K, ...]` of K classes, whose softmax along K is a distribution.
    #[default]
    Classes,
    /// Numbers `[B, D]`, each the mean of a normal distribution with variance 1: targets that are standardised, and the squared
    /// error.
    Numbers,
}

/// A network with a loss for each of its tasks.
pub struct Problem {
    network: Box<dyn Network>,
    losses: Vec<Loss>,
    kinds: Vec<OutputKind>,
    kernels: Option<Box<dyn Kernels>>,
    clock: PassClock,
}

impl Problem {
    /// All tasks predict classes; [`Problem::with_kinds`] says otherwise. With a single task there is nothing to share, and every
    /// method trains the network on that task.
    ///
    /// # Errors
    /// [`Error::Mismatch`] unless there are as many losses as tasks, and at least one task.
    pub fn new(network: Box<dyn Network>, losses: Vec<Loss>) -> Result<Self> {
        if losses.len() != network.tasks() || losses.is_empty() {
            return Err(Error::Mismatch {
                what: "losses".into(),
                expected: format!("one for each of the network's {} tasks, and at least 1", network.tasks()),
                got: losses.len().to_string(),
            });
        }
        let kinds = vec![OutputKind::default(); losses.len()];
        Ok(Self { network, losses, kinds, kernels: None, clock: PassClock::default() })
    }

    /// The same problem, whose task `i` predicts `kinds[i]`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] unless there is one kind per task.
    pub fn with_kinds(self, kinds: Vec<OutputKind>) -> Result<Self> {
        if kinds.len() != self.tasks() {
            return Err(Error::Mismatch {
                what: "kinds of output".into(),
                expected: format!("one for each of the {} tasks", self.tasks()),
                got: kinds.len().to_string(),
            });
        }
        Ok(Self { kinds, ..self })
    }

    /// T, the number of tasks.
    pub fn tasks(&self) -> usize {
        self.losses.len()
    }

    /// What the output of task `task` says.
    pub(crate) fn kind(&self, task: usize) -> OutputKind {
        self.kinds[task]
    }

    /// The network.
    pub fn network(&self) -> &dyn Network {
        self.network.as_ref()
    }

    /// The same problem on `device`: inputs and targets that are on another device are moved to it when they are used, and methods
    /// use `kernels` for the parts of a step that they cover. With the CPU as the device, nothing changes.
    pub fn on(self, device: &Device, kernels: impl Kernels + 'static) -> Self {
        if device.is_cpu() {
            return self;
        }
        let loss =
            |loss: Loss| -> Loss { Box::new(move |output, target| loss(output, &target.to_device(output.device())?)) };
        Self {
            network: Box::new(PlacedNetwork { network: self.network, device: device.clone() }),
            losses: self.losses.into_iter().map(loss).collect(),
            kinds: self.kinds,
            kernels: Some(Box::new(kernels)),
            clock: self.clock,
        }
    }

    /// What the device has kernels for.
    pub(crate) fn kernels(&self) -> Option<&dyn Kernels> {
        self.kernels.as_deref()
    }

    /// L_i of `output` against `target`.
    ///
    /// # Errors
    /// If they do not fit each other.
    pub fn loss(&self, task: usize, output: &Tensor, target: &Tensor) -> Result<Tensor> {
        Ok(self.clock.forward(|| (self.losses[task])(output, target))?)
    }

    /// The output of task `task`, as [`Network::forward`]. Methods call this instead of the network, so that
    /// [`Problem::take_times`] knows the time.
    ///
    /// # Errors
    /// As [`Network::forward`].
    pub fn forward(&self, parameters: &Parameters, task: usize, input: &Tensor) -> Result<Tensor> {
        Ok(self.clock.forward(|| self.network.forward(parameters, task, input))?)
    }

    /// The outputs of all tasks, as [`Network::forward_all`], with their time for [`Problem::take_times`].
    ///
    /// # Errors
    /// As [`Network::forward`].
    pub fn forward_all(&self, parameters: &Parameters, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        Ok(self.clock.forward(|| self.network.forward_all(parameters, inputs))?)
    }

    /// The gradients of `loss` with respect to the leaves among `parameters`, as [`Parameters::backward`], with their time for
    /// [`Problem::take_times`].
    ///
    /// # Errors
    /// If the backward pass fails.
    pub fn backward(&self, parameters: &Parameters, loss: &Tensor) -> Result<Gradients> {
        self.backward_pass(|| parameters.backward(loss))
    }

    /// The same as the last backward pass through the forward passes that `loss` follows from: [`Parameters::backward_last`].
    ///
    /// # Errors
    /// If the backward pass fails.
    pub fn backward_last(&self, parameters: &Parameters, loss: &Tensor) -> Result<Gradients> {
        self.backward_pass(|| parameters.backward_last(loss))
    }

    /// Calls `pass`, a backward pass, and adds its time for [`Problem::take_times`].
    pub(crate) fn backward_pass<R>(&self, pass: impl FnOnce() -> R) -> R {
        self.clock.backward(pass)
    }

    /// How long the passes of this problem took since the last call of this function, or since the problem was made.
    pub fn take_times(&self) -> PassTimes {
        self.clock.take()
    }
}

/// A network that moves its inputs to its device first.
struct PlacedNetwork {
    network: Box<dyn Network>,
    device: Device,
}

impl Network for PlacedNetwork {
    fn tasks(&self) -> usize {
        self.network.tasks()
    }

    fn initial_parameters(&self, seed: u64, dtype: DType, device: &Device) -> candle_core::Result<Parameters> {
        self.network.initial_parameters(seed, dtype, device)
    }

    fn forward(&self, parameters: &Parameters, task: usize, input: &Tensor) -> candle_core::Result<Tensor> {
        self.network.forward(parameters, task, &input.to_device(&self.device)?)
    }

    fn forward_all(&self, parameters: &Parameters, inputs: &[&Tensor]) -> candle_core::Result<Vec<Tensor>> {
        // An input that several tasks share is moved once, so that it is still one tensor.
        let mut moved: Vec<(TensorId, Tensor)> = Vec::new();
        for input in inputs {
            if !moved.iter().any(|(id, _)| *id == input.id()) {
                moved.push((input.id(), input.to_device(&self.device)?));
            }
        }
        let of_input = |input: &&Tensor| moved.iter().find(|(id, _)| *id == input.id()).map(|(_, tensor)| tensor);
        self.network.forward_all(parameters, &inputs.iter().filter_map(of_input).collect::<Vec<_>>())
    }

    fn hidden_units(
        &self,
        parameters: &Parameters,
        task: usize,
        input: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        self.network.hidden_units(parameters, task, &input.to_device(&self.device)?)
    }

    fn initial_width(&self, name: &ParameterName) -> Option<f64> {
        self.network.initial_width(name)
    }

    fn decays(&self, name: &ParameterName) -> bool {
        self.network.decays(name)
    }

    fn describe(&self, task: usize, input: NodeId, diagram: &mut Diagram) -> candle_core::Result<NodeId> {
        self.network.describe(task, input, diagram)
    }
}

impl std::fmt::Debug for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Problem").field("tasks", &self.tasks()).finish_non_exhaustive()
    }
}
