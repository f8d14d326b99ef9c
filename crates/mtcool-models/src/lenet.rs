//! The cooperative LeNet: the network of the paper's MNIST experiment.

mod config;
mod trunk;

use candle_core::{DType, Device, Result, Tensor, bail};
use mtcool_core::{Diagram, Layer, Network, NodeId, ParameterName, Parameters};
use mtcool_ops::{Linear, Precision, linear};

use crate::architecture::Architecture;
use crate::fusion::Fusion;
use crate::recorded::as_recorded;
use crate::spec::{Init, ParameterSpec, decays, initial_width, initialize};
pub use config::LeNetConfig;
use config::{KERNEL, POOL};
use trunk::Trunk;

/// Cooperative LeNet, from images `[B, C, H, W]` to logits `[B, K_i]`:
///
/// conv1 5x5, ReLU, max-pooling by 2, conv2 5x5, ReLU, max-pooling by 2, flatten, fc, ReLU (all theta), out (phi, one per task).
///
/// [`LeNetConfig::architecture`] may put other layers in the place of those in front of `out`:
///
/// - cross-stitch: conv1, conv2 and fc once per task in their full widths, with units after each of them;
/// - MTAN: masks after both convolutions. What is passed from the first level to the second is a layer like conv2 of its own, and fc
///   reads the masked features of the second;
/// - experts: in the place of fc.
#[derive(Clone, Debug)]
pub struct LeNet {
    config: LeNetConfig,
    trunk: Trunk,
    /// How many features each head reads.
    head_inputs: usize,
    specs: Vec<ParameterSpec>,
}

impl LeNet {
    /// The paper's sizes for 28x28 digits, and a head of `classes[i]` for task i.
    pub fn mnist(classes: &[usize]) -> LeNetConfig {
        LeNetConfig {
            input: (1, 28, 28),
            conv1: 10,
            conv2: 20,
            hidden: 50,
            classes: classes.to_vec(),
            allocation: Vec::new(),
            fusion: Fusion::Concat,
            architecture: Architecture::HardSharing,
            precision: Precision::Full,
        }
    }

    /// A LeNet of these sizes.
    ///
    /// # Errors
    /// If a width cannot be divided among the tasks, the input is too small, or settings exclude each other.
    pub fn new(config: LeNetConfig) -> Result<Self> {
        let (_, height, width) = config.input;
        if config.classes.is_empty() || config.classes.contains(&0) {
            bail!("LeNet: expected at least one task, and at least one class each, got classes {:?}", config.classes);
        }
        let after = |side: usize| side.checked_sub(KERNEL - 1).map(|side| side / POOL).filter(|&side| side > 0);
        let (Some(map_h), Some(map_w)) = (after(height).and_then(after), after(width).and_then(after)) else {
            bail!("LeNet: a {height}x{width} input is too small: expected sides of at least 16");
        };
        config.architecture.check(config.fusion, &config.allocation)?;
        let trunk = Trunk::new(&config, map_h * map_w)?;
        let head_inputs = trunk.outputs()?;
        let lenet = Self { config, trunk, head_inputs, specs: Vec::new() };
        Ok(Self { specs: lenet.specs(), ..lenet })
    }

    /// Names, shapes and initial distributions of the parameters, sorted by part and task.
    pub fn parameters(&self) -> &[ParameterSpec] {
        &self.specs
    }

    fn specs(&self) -> Vec<ParameterSpec> {
        let mut specs = self.trunk.parameters();
        for (task, &classes) in self.config.classes.iter().enumerate() {
            for (role, shape) in [("weight", vec![classes, self.head_inputs]), ("bias", vec![classes])] {
                let name = ParameterName::phi(task, format!("out.{role}"));
                let init = Init::FanIn(self.head_inputs);
                specs.push(ParameterSpec { name, shape, init, decays: role == "weight" });
            }
        }
        specs.sort_by_key(|spec| (spec.name.kind, spec.name.task));
        specs
    }
}

impl Network for LeNet {
    fn tasks(&self) -> usize {
        self.config.classes.len()
    }

    fn initial_parameters(&self, seed: u64, dtype: DType, device: &Device) -> Result<Parameters> {
        initialize(&self.specs, seed, dtype, device)
    }

    fn forward(&self, parameters: &Parameters, task: usize, input: &Tensor) -> Result<Tensor> {
        let output = |parameters: &Parameters| {
            let x = self.trunk.features(parameters, task, input)?;
            let (weight, bias) = (parameters.phi(task, "out.weight")?, parameters.phi(task, "out.bias")?);
            let precision = self.config.precision;
            Ok(vec![linear(&x, weight, bias, Linear { precision, ..Linear::default() })?])
        };
        let can_be_recorded = match (self.config.fusion, self.config.architecture) {
            (Fusion::Concat | Fusion::Separate, Architecture::HardSharing) => true,
            // On a card, all else combines features by candle's own operations, which cannot be recorded.
            _ => input.device().is_cpu(),
        };
        let mut outputs =
            if can_be_recorded { as_recorded(parameters, &[input], output)? } else { output(parameters)? };
        Ok(outputs.swap_remove(0))
    }

    fn initial_width(&self, name: &ParameterName) -> Option<f64> {
        initial_width(&self.specs, name)
    }

    fn decays(&self, name: &ParameterName) -> bool {
        decays(&self.specs, name)
    }

    fn describe(&self, task: usize, input: NodeId, diagram: &mut Diagram) -> Result<NodeId> {
        let x = self.trunk.describe(diagram, task, input)?;
        let [weight, bias] = ["weight", "bias"].map(|role| ParameterName::phi(task, format!("out.{role}")).into());
        Ok(diagram.add(Layer::Linear { weight, bias }, &[x]))
    }
}
