//! The cooperative U-Net: one encoder that all tasks own together, and a decoder for each task.

mod classification;
mod config;

use candle_core::{DType, Device, Result, Tensor, bail};
use mtcool_core::{Network, ParameterKind, ParameterName, Parameters};
use mtcool_ops::{Activation, ChainInput, Conv2d, MaxPool2d, Norm, conv_norm_chain, conv2d, max_pool2d};

use crate::conv_norm::{ConvNorm, Owner};
use crate::cooperative::shares;
use crate::recorded::as_recorded;
use crate::spec::{Init, ParameterSpec, decays, initialize};

use classification::ClassificationHead;
pub use config::{Classifier, Head, MapGradient, UNetConfig};

/// Cooperative U-Net (Ronneberger et al. 2015), from images `[B, C, H, W]` to the logits of each [`Head`].
///
/// - Encoder, theta: at each level two units of (convolution 3x3, normalisation, ReLU), and a max-pooling by 2 between levels.
/// - Segmentation head, phi: at each level on the way up, a transposed convolution 2x2, the concatenation with the skip
///   connection, and two units; then a convolution 1x1.
/// - Classification head, phi: the bottom features beside the softmax map of task 0, pooled to their size; convolution 3x3, ReLU,
///   mean over the pixels, linear layer. [`Classifier`] has the variants, and [`MapGradient`] says which parameters the gradient
///   reaches by way of the map.
#[derive(Clone, Debug)]
pub struct UNet {
    config: UNetConfig,
    /// The two units of each level.
    encoder: Vec<[ConvNorm; 2]>,
    /// For each task, the two units of each level; none for a [`Head::Classification`].
    decoders: Vec<Vec<[ConvNorm; 2]>>,
    /// For each task, the layers behind the map; `None` for a [`Head::Segmentation`].
    classifications: Vec<Option<ClassificationHead>>,
    specs: Vec<ParameterSpec>,
}

impl UNet {
    /// A U-Net of these sizes.
    ///
    /// # Errors
    /// If a width cannot be divided among the tasks or the groups, a classification has no segmentation to read, or the priors are
    /// no probabilities of the classes.
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
        let classifications = classifications(&config)?;
        let unet = Self { encoder, decoders, classifications, config, specs: Vec::new() };
        Ok(Self { specs: unet.specs(), ..unet })
    }

    fn width(&self, level: usize) -> usize {
        self.config.base << level
    }

    /// Names, shapes and initial distributions of the parameters, sorted by part and task.
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
        for (task, head) in self.config.heads.iter().enumerate() {
            let map = match *head {
                Head::Segmentation { classes } => classes,
                Head::LoneClassification { map, .. } => map,
                Head::Classification { .. } => continue,
            };
            for level in 0..self.config.depth {
                let (from, to) = (self.width(level + 1), self.width(level));
                add(task, format!("up{level}"), vec![from, to, 2, 2], to, from);
            }
            add(task, "out".into(), vec![map, self.config.base, 1, 1], map, self.config.base);
        }
        specs.extend(self.classifications.iter().flatten().flat_map(ClassificationHead::parameters));
        specs.sort_by_key(|spec| (spec.name.kind, spec.name.task));
        specs
    }

    /// Features of each level l, `[B, base 2^l, H / 2^l, W / 2^l]`.
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

    /// Logits `[B, K, H, W]` of the decoder of task `task` from the encoder's features.
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

    /// Logits of task `task` from the encoder's features; `map` are the logits that a [`Head::Classification`] reads, if they are
    /// known already.
    fn output(
        &self,
        parameters: &Parameters,
        task: usize,
        features: &[Tensor],
        map: Option<&Tensor>,
    ) -> Result<Tensor> {
        let Some(classification) = &self.classifications[task] else {
            return self.segment(parameters, task, features);
        };
        let map = match map {
            Some(map) => map,
            None => &self.map_of(parameters, task, features)?,
        };
        classification.forward(parameters, &features[self.config.depth], map)
    }

    /// The logits of the map that the classification `task` reads.
    fn map_of(&self, parameters: &Parameters, task: usize, features: &[Tensor]) -> Result<Tensor> {
        match self.config.heads[task] {
            Head::Classification { .. } => self.map_to_read(parameters, features, None),
            Head::Segmentation { .. } | Head::LoneClassification { .. } => self.segment(parameters, task, features),
        }
    }

    /// The logits of task 0 as a [`Head::Classification`] reads them: always the same values, with the graph that
    /// [`MapGradient`] asks for. `first` are the logits of task 0 with their whole graph, if they are known already.
    fn map_to_read(&self, parameters: &Parameters, features: &[Tensor], first: Option<&Tensor>) -> Result<Tensor> {
        let with_gradient = || first.map_or_else(|| self.segment(parameters, 0, features), |first| Ok(first.clone()));
        match self.config.map_gradient {
            MapGradient::Everything => with_gradient(),
            MapGradient::None => Ok(with_gradient()?.detach()),
            MapGradient::ThetaOnly => {
                let own = parameters.filter(|name| name.kind == ParameterKind::Phi && name.task == 0);
                if !own.iter().any(|(_, tensor)| tensor.track_op()) {
                    return with_gradient();
                }
                // The decoder's pass again, with its parameters as constants.
                let constants = own.iter().map(|(name, tensor)| (name.clone(), tensor.detach())).collect();
                self.segment(&constants, 0, features)
            }
        }
    }

    /// Two units, one after the other.
    fn block(&self, parameters: &Parameters, input: ChainInput<'_>, units: &[ConvNorm; 2]) -> Result<Tensor> {
        let UNetConfig { statistics, eps, precision, .. } = self.config;
        let norm = Norm { statistics, eps, activation: Activation::Relu };
        let [first, second] = units;
        conv_norm_chain(input, &[first.unit(parameters, precision)?, second.unit(parameters, precision)?], norm)
    }
}

/// For each task, its layers behind the map, if it classifies images.
fn classifications(config: &UNetConfig) -> Result<Vec<Option<ClassificationHead>>> {
    let of_head = |(task, head): (usize, &Head)| {
        let (classes, map) = match (*head, config.heads.first()) {
            (Head::LoneClassification { classes, map }, _) => (classes, map),
            (Head::Classification { classes }, Some(&Head::Segmentation { classes: map })) => (classes, map),
            _ => return Ok(None),
        };
        ClassificationHead::new(config, task, classes, map).map(Some)
    };
    config.heads.iter().enumerate().map(of_head).collect()
}

impl Network for UNet {
    fn tasks(&self) -> usize {
        self.config.heads.len()
    }

    fn initial_parameters(&self, seed: u64, dtype: DType, device: &Device) -> Result<Parameters> {
        initialize(&self.specs, seed, dtype, device)
    }

    fn forward(&self, parameters: &Parameters, task: usize, input: &Tensor) -> Result<Tensor> {
        let output = |parameters: &Parameters| {
            let features = self.encode(parameters, input)?;
            Ok(vec![self.output(parameters, task, &features, None)?])
        };
        Ok(as_recorded(parameters, &[input], output)?.swap_remove(0))
    }

    /// Tasks on the same images share the encoder's pass. Classifications share the segmentation that they read, unless the
    /// graph of the two has to differ (see [`MapGradient`]).
    fn forward_all(&self, parameters: &Parameters, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let Some(first) = inputs.first().filter(|first| inputs.iter().all(|input| input.id() == first.id())) else {
            return inputs.iter().enumerate().map(|(task, input)| self.forward(parameters, task, input)).collect();
        };
        as_recorded(parameters, inputs, |parameters| {
            let features = self.encode(parameters, first)?;
            let mut outputs: Vec<Tensor> = Vec::with_capacity(inputs.len());
            let mut map = None;
            for (task, head) in self.config.heads.iter().enumerate() {
                let reads_first = matches!(head, Head::Classification { .. });
                if map.is_none() && reads_first {
                    map = Some(self.map_to_read(parameters, &features, outputs.first())?);
                }
                outputs.push(self.output(parameters, task, &features, map.as_ref().filter(|_| reads_first))?);
            }
            Ok(outputs)
        })
    }

    /// The units of a classification's convolution; `None` for a segmentation.
    fn hidden_units(&self, parameters: &Parameters, task: usize, input: &Tensor) -> Result<Option<Tensor>> {
        let Some(classification) = &self.classifications[task] else { return Ok(None) };
        let features = self.encode(parameters, input)?;
        let map = self.map_of(parameters, task, &features)?;
        classification.hidden(parameters, &features[self.config.depth], &map).map(Some)
    }

    fn decays(&self, name: &ParameterName) -> bool {
        decays(&self.specs, name)
    }
}
