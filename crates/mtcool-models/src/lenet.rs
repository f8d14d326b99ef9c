//! The cooperative LeNet: the network of the paper's MNIST experiment.

use candle_core::{DType, Device, Result, Tensor, bail};
use mtcool_core::{Diagram, Layer, Network, NodeId, ParameterName, Parameters};
use mtcool_ops::{Linear, MaxPool2d, Precision, flatten_features, linear};

use crate::cooperative::{CooperativeLayer, Transform};
use crate::fusion::{Features, Fusion};
use crate::recorded::as_recorded;
use crate::spec::{Init, ParameterSpec, decays, initial_width, initialize};

/// Sizes and settings of a [`LeNet`].
#[derive(Clone, Debug, PartialEq)]
pub struct LeNetConfig {
    /// Input channels, height, width; the sides must survive two rounds of (5x5 convolution, 2x2 pooling).
    pub input: (usize, usize, usize),
    /// Channels of the first convolution, over all tasks.
    pub conv1: usize,
    /// Channels of the second convolution, over all tasks.
    pub conv2: usize,
    /// Units of the fully connected layer, over all tasks.
    pub hidden: usize,
    /// Classes of each task.
    pub classes: Vec<usize>,
    /// Each task's part of the channels and units, in proportion to these numbers; empty for even shares.
    pub allocation: Vec<f64>,
    /// How the features of all tasks are combined.
    pub fusion: Fusion,
    /// Precision of the operands of convolutions and linear layers.
    pub precision: Precision,
}

/// Cooperative LeNet, from images `[B, C, H, W]` to logits `[B, K_i]`:
///
/// conv1 5x5, ReLU, max-pooling by 2, conv2 5x5, ReLU, max-pooling by 2, flatten, fc, ReLU (all theta), out (phi, one per task).
#[derive(Clone, Debug)]
pub struct LeNet {
    config: LeNetConfig,
    conv1: CooperativeLayer,
    conv2: CooperativeLayer,
    fc: CooperativeLayer,
    /// How many features each head reads.
    head_inputs: usize,
    specs: Vec<ParameterSpec>,
}

/// Side of the kernels in pixels.
const KERNEL: usize = 5;
/// Side of the pooling windows in pixels.
const POOL: usize = 2;

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
            precision: Precision::Full,
        }
    }

    /// A LeNet of these sizes.
    ///
    /// # Errors
    /// If a width cannot be divided among the tasks, or the input is too small.
    pub fn new(config: LeNetConfig) -> Result<Self> {
        let (channels, height, width) = config.input;
        let (tasks, fusion) = (config.classes.len(), config.fusion);
        if tasks == 0 || config.classes.contains(&0) {
            bail!("LeNet: expected at least one task, and at least one class each, got classes {:?}", config.classes);
        }
        let after = |side: usize| side.checked_sub(KERNEL - 1).map(|side| side / POOL).filter(|&side| side > 0);
        let (Some(map_h), Some(map_w)) = (after(height).and_then(after), after(width).and_then(after)) else {
            bail!("LeNet: a {height}x{width} input is too small: expected sides of at least 16");
        };
        let convolution = Transform::Convolution { kernel: KERNEL, pool: Some(MaxPool2d::tiling(POOL)) };
        let layer = |name, transform, inputs, outputs| -> Result<CooperativeLayer> {
            let layer = CooperativeLayer::new(name, transform, inputs, outputs, tasks, fusion)?;
            let layer = if config.allocation.is_empty() { layer } else { layer.with_allocation(&config.allocation)? };
            Ok(layer.with_precision(config.precision))
        };
        let conv1 = layer("conv1", convolution, channels, config.conv1)?;
        let conv2 = layer("conv2", convolution, conv1.fused_channels()?, config.conv2)?;
        let fc = layer("fc", Transform::Linear, conv2.fused_channels()? * map_h * map_w, config.hidden)?;
        let head_inputs = fc.fused_channels()?;
        let lenet = Self { config, conv1, conv2, fc, head_inputs, specs: Vec::new() };
        Ok(Self { specs: lenet.specs(), ..lenet })
    }

    /// Names, shapes and initial distributions of the parameters, sorted by part and task.
    pub fn parameters(&self) -> &[ParameterSpec] {
        &self.specs
    }

    fn specs(&self) -> Vec<ParameterSpec> {
        let mut specs: Vec<_> =
            [&self.conv1, &self.conv2, &self.fc].iter().flat_map(|layer| layer.parameters()).collect();
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
            let mut x = Features::Joined(input.clone());
            for convolution in [&self.conv1, &self.conv2] {
                x = convolution.fuse(parameters, convolution.forward(parameters, &x)?)?;
            }
            let x = self.fc.forward(parameters, &x.map(flatten_features)?)?;
            let x = self.fc.fuse(parameters, x)?;
            let (weight, bias) = (parameters.phi(task, "out.weight")?, parameters.phi(task, "out.bias")?);
            let precision = self.config.precision;
            Ok(vec![linear(x.of_task(task), weight, bias, Linear { precision, ..Linear::default() })?])
        };
        // Cross-stitch units use candle's own operations, which cannot be recorded.
        let mut outputs = match self.config.fusion {
            Fusion::Concat => as_recorded(parameters, &[input], output)?,
            Fusion::CrossStitch => output(parameters)?,
        };
        Ok(outputs.swap_remove(0))
    }

    fn initial_width(&self, name: &ParameterName) -> Option<f64> {
        initial_width(&self.specs, name)
    }

    fn decays(&self, name: &ParameterName) -> bool {
        decays(&self.specs, name)
    }

    fn describe(&self, task: usize, input: NodeId, diagram: &mut Diagram) -> Result<NodeId> {
        let mut x = vec![input];
        for convolution in [&self.conv1, &self.conv2] {
            x = convolution.describe(diagram, &x);
        }
        let x: Vec<NodeId> = x.iter().map(|&x| diagram.add(Layer::Flatten, &[x])).collect();
        let x = self.fc.describe(diagram, &x);
        let Some(&x) = x.get(task).or(x.first()) else { bail!("LeNet: no features of task {task}") };
        let [weight, bias] = ["weight", "bias"].map(|role| ParameterName::phi(task, format!("out.{role}")).into());
        Ok(diagram.add(Layer::Linear { weight, bias }, &[x]))
    }
}
