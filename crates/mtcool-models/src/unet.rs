//! The cooperative U-Net: one encoder that all tasks own together, and a decoder for each task.

mod classification;
mod config;
mod encoder;
mod levels;

use candle_core::{DType, Device, Result, Tensor, bail};
use mtcool_core::{Diagram, Layer, Network, NodeId, ParameterKind, ParameterName, Parameters, Weights};
use mtcool_ops::{Activation, ChainInput, Conv2d, Norm, conv2d};

use crate::conv_norm::{ConvNorm, Owner, chained};
use crate::recorded::as_recorded;
use crate::spec::{Init, ParameterSpec, decays, initial_width, initialize};

use classification::ClassificationHead;
pub use config::{Classifier, Head, MapGradient, MapOf, UNetConfig};
use encoder::{Encoded, Encoder, double};
use levels::{is_of, level};

/// Cooperative U-Net (Ronneberger et al. 2015), from images `[B, C, H, W]` to the logits of each [`Head`].
///
/// - Encoder, theta: at each level two units of (convolution 3x3, normalisation, ReLU), and a max-pooling by 2 between levels.
/// - Segmentation head, phi: at each level on the way up, a transposed convolution 2x2, the concatenation with the skip
///   connection, and two units; then a convolution 1x1.
/// - Heads with one answer per image, phi: the bottom features beside the softmax map of the first segmentation, pooled to their
///   size; convolution 3x3, ReLU, mean over the pixels, linear layer. [`Classifier`] has the variants, [`MapOf`] the maps, and
///   [`MapGradient`] says which parameters the gradient reaches by way of the map.
///
/// [`UNetConfig::architecture`] may put another encoder in the place of the shared one:
///
/// - cross-stitch: an encoder of the full widths for each task, with units after each level; heads read mixed features;
/// - MTAN: at each level a mask per task, computed from the level's first unit, selects from its second; heads read masked features. A
///   unit and a max-pooling, which all tasks have in common, pass them on to the modules of the next level.
#[derive(Clone, Debug)]
pub struct UNet {
    config: UNetConfig,
    encoder: Encoder,
    /// For each task, the two units of each level; none for a head without a map of its own.
    decoders: Vec<Vec<[ConvNorm; 2]>>,
    /// For each task, the layers behind the map; `None` for a [`Head::Segmentation`].
    classifications: Vec<Option<ClassificationHead>>,
    /// The first task that is a segmentation.
    segmentation: Option<usize>,
    specs: Vec<ParameterSpec>,
}

impl UNet {
    /// A U-Net of these sizes.
    ///
    /// # Errors
    /// If a width cannot be divided among the tasks or the groups, a head has no segmentation whose map it could read, or the
    /// priors are no probabilities of the classes.
    pub fn new(config: UNetConfig) -> Result<Self> {
        let segmentation = config.heads.iter().position(|head| matches!(head, Head::Segmentation { .. }));
        let is_missing = |head: &Head| {
            let reads_nothing = head.reads() == Some(MapOf::Segmentation) && segmentation.is_none();
            head.outputs() == 0 || head.decoded() == Some(0) || reads_nothing
        };
        if config.heads.is_empty() || config.heads.iter().any(is_missing) || config.in_channels == 0 {
            bail!(
                "UNet: expected input channels, heads with at least one class, and a segmentation for classifications that \
                 read its map, got {config:?}"
            );
        }
        if config.recomputed_levels > config.depth + 1 {
            bail!(
                "UNet: {} levels whose inside is computed again: expected at most {}, the number of levels",
                config.recomputed_levels,
                config.depth + 1
            );
        }
        let width = |level: usize| config.base << level;
        let encoder = Encoder::new(&config)?;
        let decoder = |(task, head): (usize, &Head)| match head.decoded() {
            None => Ok(Vec::new()),
            Some(_) => {
                let owner = Owner::Task(ParameterKind::Phi, task);
                let block = |level| double(&config, &format!("dec{level}"), [2 * width(level), width(level)], &owner);
                (0..config.depth).map(block).collect::<Result<_>>()
            }
        };
        let decoders = config.heads.iter().enumerate().map(decoder).collect::<Result<_>>()?;
        let classifications = classifications(&config, segmentation)?;
        let unet = Self { encoder, decoders, classifications, segmentation, config, specs: Vec::new() };
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
        let mut specs = self.encoder.parameters();
        specs.extend(self.decoders.iter().flatten().flatten().flat_map(ConvNorm::parameters));
        let mut add = |task: usize, layer: String, weight: Vec<usize>, biases: usize, fan_in: usize| {
            for (role, shape) in [("weight", weight), ("bias", vec![biases])] {
                let name = ParameterName::phi(task, format!("{layer}.{role}"));
                specs.push(ParameterSpec { name, shape, init: Init::FanIn(fan_in), decays: role == "weight" });
            }
        };
        for (task, head) in self.config.heads.iter().enumerate() {
            let Some(map) = head.decoded() else { continue };
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

    /// Logits `[B, K, H, W]` of the decoder of task `task` from the encoder's features.
    fn segment(&self, parameters: &Parameters, task: usize, features: &[Tensor]) -> Result<Tensor> {
        let (norm, precision) = (self.norm(), self.config.precision);
        let mut x = features[self.config.depth].clone();
        for (index, units) in self.decoders[task].iter().enumerate().rev() {
            let is_top = index == 0;
            let layers = [format!("up{index}"), format!("dec{index}"), "out".to_owned()];
            let layers = &layers[..if is_top { 3 } else { 2 }];
            let is_own = |name: &ParameterName| name.kind == ParameterKind::Phi && name.task == task;
            let own = parameters.filter(|name| is_own(name) && layers.iter().any(|layer| is_of(name, layer)));
            let units = units.clone();
            let is_recomputed = index < self.config.recomputed_levels;
            x = level(is_recomputed, &own, &[&features[index], &x], move |parameters, maps| {
                let kernel = parameters.phi(task, &format!("up{index}.weight"))?;
                let bias = parameters.phi(task, &format!("up{index}.bias"))?;
                let input = ChainInput::Raised { skip: &maps[0], low: &maps[1], kernel, bias };
                let x = chained(parameters, input, &units, norm, precision)?;
                if !is_top {
                    return Ok(x);
                }
                let settings = Conv2d { precision, ..Conv2d::default() };
                conv2d(&x, parameters.phi(task, "out.weight")?, Some(parameters.phi(task, "out.bias")?), settings)
            })?;
        }
        Ok(x)
    }

    /// Logits of task `task` from what the encoder has computed; `map` are the logits of the first segmentation's map as
    /// [`UNet::map_to_read`] gives them, if they are known already.
    fn output(&self, parameters: &Parameters, task: usize, encoded: &Encoded, map: Option<&Tensor>) -> Result<Tensor> {
        let features = self.encoder.features(parameters, encoded, task)?;
        let Some(classification) = &self.classifications[task] else {
            return self.segment(parameters, task, &features);
        };
        let map = match map {
            Some(map) => Some(map.clone()),
            None => self.map_of(parameters, task, encoded, &features)?,
        };
        classification.forward(parameters, &features[self.config.depth], map.as_ref())
    }

    /// The logits of the map that the head of `task` reads, whose features are `features`.
    fn map_of(
        &self,
        parameters: &Parameters,
        task: usize,
        encoded: &Encoded,
        features: &[Tensor],
    ) -> Result<Option<Tensor>> {
        match self.config.heads[task].reads() {
            None | Some(MapOf::Nothing) => Ok(None),
            Some(MapOf::Own(_)) => self.segment(parameters, task, features).map(Some),
            Some(MapOf::Segmentation) => self.map_to_read(parameters, encoded, None).map(Some),
        }
    }

    /// The logits of the first segmentation, task s, as other heads read them: always the same values, with the graph that
    /// [`MapGradient`] asks for. `known` are the logits of task s with their whole graph, if they are known already.
    fn map_to_read(&self, parameters: &Parameters, encoded: &Encoded, known: Option<&Tensor>) -> Result<Tensor> {
        let Some(s) = self.segmentation else {
            bail!("UNet: a head reads the map of a segmentation, and there is none")
        };
        let made_with =
            |parameters: &Parameters| self.segment(parameters, s, &self.encoder.features(parameters, encoded, s)?);
        let with_gradient = || known.map_or_else(|| made_with(parameters), |known| Ok(known.clone()));
        match self.config.map_gradient {
            MapGradient::Everything => with_gradient(),
            MapGradient::None => Ok(with_gradient()?.detach()),
            MapGradient::ThetaOnly => {
                if !parameters.iter().any(|(name, tensor)| name.is_own(s) && tensor.track_op()) {
                    return with_gradient();
                }
                // The pass behind what tasks have in common again, with the task's parameters as constants.
                let constant = |(name, tensor): (&ParameterName, &Tensor)| {
                    (name.clone(), if name.is_own(s) { tensor.detach() } else { tensor.clone() })
                };
                made_with(&parameters.iter().map(constant).collect())
            }
        }
    }

    /// The normalisation of every unit of encoder and decoders.
    fn norm(&self) -> Norm {
        let UNetConfig { statistics, eps, .. } = self.config;
        Norm { statistics, eps, activation: Activation::Relu }
    }

    /// The outputs of `body`, recorded where its operations can be.
    fn recorded(
        &self,
        parameters: &Parameters,
        inputs: &[&Tensor],
        body: impl FnOnce(&Parameters) -> Result<Vec<Tensor>>,
    ) -> Result<Vec<Tensor>> {
        let can_be = inputs.iter().all(|input| self.encoder.can_be_recorded(input));
        if can_be { as_recorded(parameters, inputs, body) } else { body(parameters) }
    }

    /// Adds the layers of [`UNet::segment`] to `diagram`.
    fn describe_segmentation(&self, diagram: &mut Diagram, task: usize, features: &[NodeId]) -> NodeId {
        let of_layer = |layer: &str| {
            ["weight", "bias"].map(|role| Weights::from(ParameterName::phi(task, format!("{layer}.{role}"))))
        };
        let mut x = features[self.config.depth];
        for (level, units) in self.decoders[task].iter().enumerate().rev() {
            let [kernel, bias] = of_layer(&format!("up{level}"));
            let raised = diagram.add(Layer::TransposedConvolution { kernel, bias, stride: 2 }, &[x]);
            let joined = diagram.add(Layer::Join, &[features[level], raised]);
            x = units.iter().fold(joined, |x, unit| unit.describe(diagram, x, self.norm()));
        }
        let [kernel, bias] = of_layer("out");
        diagram.add(Layer::Convolution { kernel, bias: Some(bias), padding: 0 }, &[x])
    }
}

/// For each task, its layers behind the map, if it has one answer per image.
fn classifications(config: &UNetConfig, segmentation: Option<usize>) -> Result<Vec<Option<ClassificationHead>>> {
    let of_head = |(task, head): (usize, &Head)| {
        let map = match head.reads() {
            None => return Ok(None),
            Some(MapOf::Nothing) => 0,
            Some(MapOf::Own(map)) => map,
            Some(MapOf::Segmentation) => segmentation.map_or(0, |task| config.heads[task].outputs()),
        };
        ClassificationHead::new(config, task, map).map(Some)
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
            let encoded = self.encoder.encode(parameters, input)?;
            Ok(vec![self.output(parameters, task, &encoded, None)?])
        };
        Ok(self.recorded(parameters, &[input], output)?.swap_remove(0))
    }

    /// Tasks on the same images share the encoder's pass. Heads that read the segmentation's map share it with the segmentation,
    /// unless the graph of the two has to differ (see [`MapGradient`]).
    fn forward_all(&self, parameters: &Parameters, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let Some(first) = inputs.first().filter(|first| inputs.iter().all(|input| input.id() == first.id())) else {
            return inputs.iter().enumerate().map(|(task, input)| self.forward(parameters, task, input)).collect();
        };
        self.recorded(parameters, inputs, |parameters| {
            let encoded = self.encoder.encode(parameters, first)?;
            let mut outputs: Vec<Tensor> = Vec::with_capacity(inputs.len());
            let mut map = None;
            for (task, head) in self.config.heads.iter().enumerate() {
                let reads_map = head.reads() == Some(MapOf::Segmentation);
                if map.is_none() && reads_map {
                    let known = self.segmentation.and_then(|task| outputs.get(task));
                    map = Some(self.map_to_read(parameters, &encoded, known)?);
                }
                outputs.push(self.output(parameters, task, &encoded, map.as_ref().filter(|_| reads_map))?);
            }
            Ok(outputs)
        })
    }

    /// The units of a classification's convolution; `None` for a segmentation.
    fn hidden_units(&self, parameters: &Parameters, task: usize, input: &Tensor) -> Result<Option<Tensor>> {
        let Some(classification) = &self.classifications[task] else { return Ok(None) };
        let encoded = self.encoder.encode(parameters, input)?;
        let features = self.encoder.features(parameters, &encoded, task)?;
        let map = self.map_of(parameters, task, &encoded, &features)?;
        classification.hidden(parameters, &features[self.config.depth], map.as_ref()).map(Some)
    }

    fn initial_width(&self, name: &ParameterName) -> Option<f64> {
        initial_width(&self.specs, name)
    }

    fn decays(&self, name: &ParameterName) -> bool {
        decays(&self.specs, name)
    }

    fn describe(&self, task: usize, input: NodeId, diagram: &mut Diagram) -> Result<NodeId> {
        let features = self.encoder.describe(diagram, task, input);
        let Some(classification) = &self.classifications[task] else {
            return Ok(self.describe_segmentation(diagram, task, &features));
        };
        let map = match self.config.heads[task].reads() {
            None | Some(MapOf::Nothing) => None,
            Some(MapOf::Own(_)) => Some(task),
            Some(MapOf::Segmentation) => self.segmentation,
        };
        let map = map.map(|task| {
            let features = self.encoder.describe(diagram, task, input);
            self.describe_segmentation(diagram, task, &features)
        });
        Ok(classification.describe(diagram, features[self.config.depth], map))
    }
}
