//! U-Net, cooperative: one encoder that the tasks own together, a decoder for each.

use candle_core::{DType, Device, Result, Tensor, bail};
use mtcool_core::{Network, ParameterName, Parameters};
use mtcool_ops::{
    Activation, ChainInput, Conv2d, Linear, MaxPool2d, Norm, Precision, Statistics, conv_norm_chain, conv2d,
    join_channels, linear, max_pool2d, mean_pixels, pooled_softmax,
};

use crate::conv_norm::{ConvNorm, Owner};
use crate::cooperative::shares;
use crate::recorded::as_recorded;
use crate::spec::{Init, ParameterSpec, decays, initialize};

/// What a task predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// A class for each pixel: logits `[B, K, H, W]` from a decoder.
    Segmentation {
        /// K.
        classes: usize,
    },
    /// A class for the image: logits `[B, K]` from the bottom features beside task 0's segmentation.
    Classification {
        /// K.
        classes: usize,
    },
    /// The same beside a map of its own, which nothing but this head's loss trains: a classification that stands alone, with
    /// all the layers that the other has.
    LoneClassification {
        /// K.
        classes: usize,
        /// Classes of its map.
        map: usize,
    },
}

/// Sizes of a [`UNet`].
#[derive(Clone, Debug, PartialEq)]
pub struct UNetConfig {
    /// Channels of the images.
    pub in_channels: usize,
    /// Channels of the first level, over all tasks; each further level has twice as many.
    pub base: usize,
    /// Poolings on the way down; images must be divisible by 2^depth both ways.
    pub depth: usize,
    /// What is normalised together. With [`Statistics::Batch`] there are no running means: those of the batch at hand are used
    /// always, in evaluation as in training, so that what is predicted for an image depends on those beside it.
    pub statistics: Statistics,
    /// Added to each variance; positive.
    pub eps: f64,
    /// Channels of a classification head's convolution.
    pub classifier_width: usize,
    /// Of the operands of convolutions and linear layers.
    pub precision: Precision,
    /// One a task; a classification needs a segmentation as task 0.
    pub heads: Vec<Head>,
}

impl Default for UNetConfig {
    /// The paper's sizes, 16 channels to 256, without heads.
    fn default() -> Self {
        Self {
            in_channels: 3,
            base: 16,
            depth: 4,
            statistics: Statistics::Group { groups: 8 },
            eps: 1e-5,
            classifier_width: 64,
            precision: Precision::Full,
            heads: Vec::new(),
        }
    }
}

/// Cooperative U-Net (Ronneberger et al. 2015), images `[B, C, H, W]`.
///
/// Encoder, theta: at each level two units of (convolution 3x3, norm, ReLU), max-pool 2 between levels. Segmentation
/// head, phi: up the levels, each a transposed convolution 2x2, the skip connection beside it, two units; then a convolution
/// 1x1. Classification head, phi: bottom features beside the pooled softmax map of task 0, convolution 3x3, ReLU, mean over
/// pixels, linear.
#[derive(Clone, Debug)]
pub struct UNet {
    config: UNetConfig,
    /// Two units a level.
    encoder: Vec<[ConvNorm; 2]>,
    /// By task: two units a level for a segmentation, nothing for a classification.
    decoders: Vec<Vec<[ConvNorm; 2]>>,
    specs: Vec<ParameterSpec>,
}

impl UNet {
    /// # Errors
    /// If a width cannot be shared among the tasks or the groups, or a classification has no segmentation to read.
    pub fn new(config: UNetConfig) -> Result<Self> {
        let tasks = config.heads.len();
        let is_segmented = matches!(config.heads.first(), Some(Head::Segmentation { .. }));
        let is_missing = |head: &Head| match *head {
            Head::Segmentation { classes } => classes == 0,
            Head::Classification { classes } => classes == 0 || !is_segmented,
            Head::LoneClassification { classes, map } => classes == 0 || map == 0,
        };
        if config.heads.is_empty() || config.heads.iter().any(is_missing) || config.in_channels == 0 {
            bail!(
                "UNet: expected input channels, heads with at least one class, and a segmentation as task 0 for \
                 classifications that read it, got {config:?}"
            );
        }
        let width = |level: usize| config.base << level;
        let double = |block: String, inputs: usize, outputs: usize, owner: Owner| -> Result<[ConvNorm; 2]> {
            let unit = |index, inputs| ConvNorm::new(&block, index, inputs, outputs, owner.clone(), config.statistics);
            Ok([unit(0, inputs)?, unit(1, outputs)?])
        };
        let level = |level: usize| {
            let inputs = if level == 0 { config.in_channels } else { width(level - 1) };
            double(format!("enc{level}"), inputs, width(level), Owner::Tasks(shares(width(level), tasks)?))
        };
        let encoder = (0..=config.depth).map(level).collect::<Result<_>>()?;
        let decoder = |(task, head): (usize, &Head)| match head {
            Head::Classification { .. } => Ok(Vec::new()),
            Head::Segmentation { .. } | Head::LoneClassification { .. } => {
                let block = |level| double(format!("dec{level}"), 2 * width(level), width(level), Owner::Task(task));
                (0..config.depth).map(block).collect::<Result<_>>()
            }
        };
        let decoders = config.heads.iter().enumerate().map(decoder).collect::<Result<_>>()?;
        let unet = Self { encoder, decoders, config, specs: Vec::new() };
        Ok(Self { specs: unet.specs(), ..unet })
    }

    fn width(&self, level: usize) -> usize {
        self.config.base << level
    }

    /// What the parameters are, task by task.
    pub fn parameters(&self) -> &[ParameterSpec] {
        &self.specs
    }

    fn specs(&self) -> Vec<ParameterSpec> {
        let units = self.encoder.iter().chain(self.decoders.iter().flatten()).flatten();
        let mut specs: Vec<ParameterSpec> = units.flat_map(ConvNorm::parameters).collect();
        let mut add = |task: usize, layer: String, weight: Vec<usize>, biases: usize, fan_in: usize| {
            for (role, shape) in [("weight", weight), ("bias", vec![biases])] {
                let name = ParameterName::phi(task, format!("{layer}.{role}"));
                specs.push(ParameterSpec { name, shape, init: Init::FanIn(fan_in), decays: role == "weight" });
            }
        };
        let (bottom, hidden) = (self.width(self.config.depth), self.config.classifier_width);
        for (task, head) in self.config.heads.iter().enumerate() {
            let (map, classes, read) = match *head {
                Head::Segmentation { classes } => (Some(classes), None, 0),
                Head::Classification { classes } => (None, Some(classes), self.map_classes()),
                Head::LoneClassification { classes, map } => (Some(map), Some(classes), map),
            };
            if let Some(map) = map {
                for level in 0..self.config.depth {
                    let (from, to) = (self.width(level + 1), self.width(level));
                    add(task, format!("up{level}"), vec![from, to, 2, 2], to, from);
                }
                add(task, "out".into(), vec![map, self.config.base, 1, 1], map, self.config.base);
            }
            if let Some(classes) = classes {
                let inputs = bottom + read;
                add(task, "conv".into(), vec![hidden, inputs, 3, 3], hidden, 9 * inputs);
                add(task, "fc".into(), vec![classes, hidden], classes, hidden);
            }
        }
        specs.sort_by_key(|spec| (spec.name.kind, spec.name.task));
        specs
    }

    /// Classes of task 0's segmentation.
    fn map_classes(&self) -> usize {
        match self.config.heads.first() {
            Some(Head::Segmentation { classes }) => *classes,
            _ => 0,
        }
    }

    /// Features of every level, `[B, base 2^l, H / 2^l, W / 2^l]`.
    fn encode(&self, parameters: &Parameters, input: &Tensor) -> Result<Vec<Tensor>> {
        let (_, _, height, width) = input.dims4()?;
        let step = 1 << self.config.depth;
        if height % step != 0 || width % step != 0 {
            bail!(
                "UNet: a {height}x{width} image is not divisible by {step}, which {} poolings need; crop or pad it",
                self.config.depth
            );
        }
        let mut features: Vec<Tensor> = Vec::with_capacity(self.encoder.len());
        for units in &self.encoder {
            let x = match features.last() {
                Some(above) => max_pool2d(above, MaxPool2d::tiling(2))?,
                None => input.clone(),
            };
            features.push(self.block(parameters, ChainInput::Map(&x), units)?);
        }
        Ok(features)
    }

    /// Logits of a segmentation head from the encoder's features.
    fn segment(&self, parameters: &Parameters, task: usize, features: &[Tensor]) -> Result<Tensor> {
        let mut x = features[self.config.depth].clone();
        for (level, units) in self.decoders[task].iter().enumerate().rev() {
            let kernel = parameters.phi(task, &format!("up{level}.weight"))?;
            let bias = parameters.phi(task, &format!("up{level}.bias"))?;
            let input = ChainInput::Raised { skip: &features[level], low: &x, kernel, bias };
            x = self.block(parameters, input, units)?;
        }
        let settings = Conv2d { precision: self.config.precision, ..Conv2d::default() };
        conv2d(&x, parameters.phi(task, "out.weight")?, Some(parameters.phi(task, "out.bias")?), settings)
    }

    /// Logits of task `task` from the encoder's features and, where they are there already, the logits of task 0.
    fn output(
        &self,
        parameters: &Parameters,
        task: usize,
        features: &[Tensor],
        first: Option<&Tensor>,
    ) -> Result<Tensor> {
        let read = match (self.config.heads[task], first) {
            (Head::Segmentation { .. }, _) => return self.segment(parameters, task, features),
            (Head::Classification { .. }, Some(map)) => map.clone(),
            (Head::Classification { .. }, None) => self.segment(parameters, 0, features)?,
            (Head::LoneClassification { .. }, _) => self.segment(parameters, task, features)?,
        };
        self.classify(parameters, task, &features[self.config.depth], &read)
    }

    /// Two units in turn.
    fn block(&self, parameters: &Parameters, input: ChainInput<'_>, units: &[ConvNorm; 2]) -> Result<Tensor> {
        let UNetConfig { statistics, eps, precision, .. } = self.config;
        let norm = Norm { statistics, eps, activation: Activation::Relu };
        let [first, second] = units;
        conv_norm_chain(input, &[first.unit(parameters, precision)?, second.unit(parameters, precision)?], norm)
    }

    /// Logits of a classification head from the bottom features and the logits of the map that it reads.
    fn classify(&self, parameters: &Parameters, task: usize, bottom: &Tensor, map: &Tensor) -> Result<Tensor> {
        let joined = join_channels(bottom, &pooled_softmax(map, 1 << self.config.depth)?)?;
        let precision = self.config.precision;
        let settings = Conv2d { padding: 1, activation: Activation::Relu, precision, ..Conv2d::default() };
        let (weight, bias) = (parameters.phi(task, "conv.weight")?, parameters.phi(task, "conv.bias")?);
        let hidden = mean_pixels(&conv2d(&joined, weight, Some(bias), settings)?)?;
        linear(
            &hidden,
            parameters.phi(task, "fc.weight")?,
            parameters.phi(task, "fc.bias")?,
            Linear { precision, ..Linear::default() },
        )
    }
}

impl Network for UNet {
    fn tasks(&self) -> usize {
        self.config.heads.len()
    }

    fn initial_parameters(&self, seed: u64, dtype: DType, device: &Device) -> Result<Parameters> {
        initialize(&self.specs, seed, dtype, device)
    }

    fn forward(&self, parameters: &Parameters, task: usize, input: &Tensor) -> Result<Tensor> {
        let output = || {
            let features = self.encode(parameters, input)?;
            Ok(vec![self.output(parameters, task, &features, None)?])
        };
        Ok(as_recorded(parameters, &[input], output)?.swap_remove(0))
    }

    /// Tasks on one and the same image share the encoder's pass, and classifications the segmentation they read.
    fn forward_all(&self, parameters: &Parameters, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let Some(first) = inputs.first().filter(|first| inputs.iter().all(|input| input.id() == first.id())) else {
            return inputs.iter().enumerate().map(|(task, input)| self.forward(parameters, task, input)).collect();
        };
        as_recorded(parameters, inputs, || {
            let features = self.encode(parameters, first)?;
            let mut outputs: Vec<Tensor> = Vec::with_capacity(inputs.len());
            for task in 0..self.config.heads.len() {
                outputs.push(self.output(parameters, task, &features, outputs.first())?);
            }
            Ok(outputs)
        })
    }

    fn decays(&self, name: &ParameterName) -> bool {
        decays(&self.specs, name)
    }
}
