//! A layer whose output channels are divided among the tasks.

use std::borrow::Cow;
use std::ops::Range;

use candle_core::{Result, Tensor, bail};
use mtcool_core::{Diagram, Layer, NodeId, ParameterName, Parameters, Weights};
use mtcool_ops::{Activation, Conv2d, Linear, MaxPool2d, Precision, Rows, conv2d, linear, stack_rows};

use crate::conv_norm::trained_rows;
use crate::fusion::{Features, Fusion};
use crate::spec::{Init, ParameterSpec};

/// What a layer computes before fusion; a ReLU follows the convolution or the linear map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    /// A convolution with a square kernel, without padding.
    Convolution {
        /// Side of the kernel in pixels.
        kernel: usize,
        /// Max-pooling after the activation, if there is any.
        pool: Option<MaxPool2d>,
    },
    /// A fully connected layer.
    Linear,
}

/// A cooperative layer: `relu(W x + b)`, where task k owns `shares[k]` rows of W and of b.
#[derive(Clone, Debug)]
pub struct CooperativeLayer {
    name: Cow<'static, str>,
    transform: Transform,
    inputs: usize,
    shares: Vec<usize>,
    fusion: Fusion,
    precision: Precision,
}

/// How many of `channels` each of `tasks` tasks owns: an even share; if there is a remainder, the first tasks own one more.
///
/// # Errors
/// If there are fewer channels than tasks.
pub fn shares(channels: usize, tasks: usize) -> Result<Vec<usize>> {
    if tasks == 0 || channels < tasks {
        bail!("a layer of {channels} channels cannot be shared by {tasks} tasks: each needs at least one");
    }
    Ok((0..tasks).map(|task| channels / tasks + usize::from(task < channels % tasks)).collect())
}

/// How many of `channels` each task owns if task k gets `parts[k]` of the sum of all parts, as nearly as whole groups of `group`
/// channels allow, and at least one group. With equal parts these are the [`shares`] of groups.
///
/// # Errors
/// If there are fewer groups than tasks, or a part is not a finite number above 0.
pub fn allocated(channels: usize, parts: &[f64], group: usize) -> Result<Vec<usize>> {
    let (tasks, groups) = (parts.len(), channels.checked_div(group).unwrap_or(0));
    if let Some(part) = parts.iter().find(|part| !(part.is_finite() && **part > 0.0)) {
        bail!("a task's part of the channels is {part}: expected a finite number above 0");
    }
    if tasks == 0 || groups < tasks {
        bail!(
            "a layer of {channels} channels in groups of {group} cannot be shared by {tasks} tasks: each needs at least one group"
        );
    }
    // Each task has one group in advance; one group after the other goes to the task that lacks most of its part.
    let sum: f64 = parts.iter().sum();
    let mut owned = vec![1usize; tasks];
    for _ in tasks..groups {
        let lacks = |task: usize| parts[task] / sum * groups as f64 - owned[task] as f64;
        let next = (1..tasks).fold(0, |most, task| if lacks(task) > lacks(most) + 1e-9 { task } else { most });
        owned[next] += 1;
    }
    Ok(owned.into_iter().map(|groups| groups * group).collect())
}

impl CooperativeLayer {
    /// A layer called `name` from `inputs` channels, as each task reads them, to `outputs` channels over all tasks.
    ///
    /// # Errors
    /// If there are fewer output channels than tasks.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        transform: Transform,
        inputs: usize,
        outputs: usize,
        tasks: usize,
        fusion: Fusion,
    ) -> Result<Self> {
        let name = name.into();
        Ok(Self { name, transform, inputs, shares: shares(outputs, tasks)?, fusion, precision: Precision::Full })
    }

    /// The same layer with `parts[k]` of the sum of all parts of its channels for task k: see [`allocated`].
    ///
    /// # Errors
    /// If there is not one part per task, or as [`allocated`].
    pub fn with_allocation(self, parts: &[f64]) -> Result<Self> {
        if parts.len() != self.shares.len() {
            bail!(
                "{} parts of a layer's channels: expected one for each of the {} tasks",
                parts.len(),
                self.shares.len()
            );
        }
        Ok(Self { shares: allocated(self.shares.iter().sum(), parts, 1)?, ..self })
    }

    /// The same layer with the operands of its products in `precision`.
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// How many channels of this layer's fused output each task reads.
    ///
    /// # Errors
    /// If the fusion needs equal shares and the shares differ.
    pub fn fused_channels(&self) -> Result<usize> {
        self.fusion.fused_channels(&self.shares)
    }

    /// The specifications of the weights, biases and fusion parameters of all tasks.
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        let (window, fan_in) = match self.transform {
            Transform::Convolution { kernel, .. } => (vec![kernel, kernel], self.inputs * kernel * kernel),
            Transform::Linear => (Vec::new(), self.inputs),
        };
        let mut specs = Vec::new();
        for (task, &share) in self.shares.iter().enumerate() {
            let mut add = |role: &str, shape: Vec<usize>| {
                let name = ParameterName::theta(task, format!("{}.{role}", self.name));
                specs.push(ParameterSpec { name, shape, init: Init::FanIn(fan_in), decays: role == "weight" });
            };
            add("weight", [&[share, self.inputs], &window[..]].concat());
            add("bias", vec![share]);
        }
        specs.extend(self.fusion.parameters(&self.name, self.shares.len()));
        specs
    }

    /// The layer's output before fusion, from the fused features `x` `[B, C, ...]`. Only the rows of tasks that train get a
    /// gradient.
    ///
    /// # Errors
    /// If a parameter is missing or a shape does not fit.
    pub fn forward(&self, parameters: &Parameters, x: &Features) -> Result<Features> {
        let weights = self.collect(parameters, "weight")?;
        let biases = self.collect(parameters, "bias")?;
        match (self.fusion, x) {
            (Fusion::Concat, Features::Joined(x)) => {
                let trains = weights.iter().zip(&biases).map(|(weight, bias)| weight.track_op() || bias.track_op());
                let rows = trained_rows(trains, &self.shares);
                let (weight, bias) = (stack_rows(&weights)?, stack_rows(&biases)?);
                self.apply(x, &weight, &bias, rows).map(Features::Joined)
            }
            _ => {
                let kernels = weights.iter().zip(biases).enumerate();
                let own = kernels.map(|(task, (weight, bias))| self.apply(x.of_task(task), weight, bias, Rows::All));
                own.collect::<Result<_>>().map(Features::Separate)
            }
        }
    }

    /// M(.) of Eq. (1), applied to this layer's output.
    ///
    /// # Errors
    /// As [`Fusion::fuse`].
    pub fn fuse(&self, parameters: &Parameters, features: Features) -> Result<Features> {
        self.fusion.fuse(parameters, &self.name, features)
    }

    /// Adds the layer with its fusion to `diagram`: `x` and the result are the features that each task reads, or a single node if
    /// all tasks read the same.
    pub(crate) fn describe(&self, diagram: &mut Diagram, x: &[NodeId]) -> Vec<NodeId> {
        let tasks = self.shares.len();
        let own = match (self.fusion, x) {
            (Fusion::Concat, [x]) => vec![self.describe_tasks(diagram, *x, 0..tasks)],
            _ => {
                let read = (0..tasks).zip(x.iter().cycle());
                read.map(|(task, &x)| self.describe_tasks(diagram, x, task..task + 1)).collect()
            }
        };
        self.fusion.describe(diagram, &self.name, own)
    }

    /// Adds the rows of `tasks` to `diagram`.
    fn describe_tasks(&self, diagram: &mut Diagram, x: NodeId, tasks: Range<usize>) -> NodeId {
        let [weight, bias] = ["weight", "bias"].map(|role| {
            let name = |task| ParameterName::theta(task, format!("{}.{role}", self.name));
            Weights::Parameters(tasks.clone().map(name).collect())
        });
        match self.transform {
            Transform::Linear => {
                let x = diagram.add(Layer::Linear { weight, bias }, &[x]);
                diagram.add(Layer::Relu, &[x])
            }
            Transform::Convolution { pool, .. } => {
                let x = diagram.add(Layer::Convolution { kernel: weight, bias: Some(bias), padding: 0 }, &[x]);
                let x = diagram.add(Layer::Relu, &[x]);
                match pool {
                    Some(MaxPool2d { kernel: side, stride }) => diagram.add(Layer::MaxPooling { side, stride }, &[x]),
                    None => x,
                }
            }
        }
    }

    fn collect<'a>(&self, parameters: &'a Parameters, role: &str) -> Result<Vec<&'a Tensor>> {
        let layer = format!("{}.{role}", self.name);
        (0..self.shares.len()).map(|task| parameters.theta(task, &layer)).collect()
    }

    fn apply(&self, x: &Tensor, weight: &Tensor, bias: &Tensor, rows: Rows) -> Result<Tensor> {
        let (activation, precision) = (Activation::Relu, self.precision);
        match self.transform {
            Transform::Convolution { pool, .. } => {
                conv2d(x, weight, Some(bias), Conv2d { activation, pool, rows, precision, ..Conv2d::default() })
            }
            Transform::Linear => linear(x, weight, bias, Linear { activation, rows, precision }),
        }
    }
}
