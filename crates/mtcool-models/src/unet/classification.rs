//! The layers of a head with one answer per image, behind the segmentation map that it reads.

use candle_core::{Result, Tensor, bail};
use mtcool_core::{Diagram, Layer, NodeId, ParameterName, Parameters, Weights};
use mtcool_ops::{
    Activation, ChainInput, Conv2d, ConvNormUnit, Linear, Norm, Precision, Statistics, conv_norm_chain, conv2d,
    join_channels, linear, mean_pixels, pooled_softmax,
};

use super::config::{Classifier, Head, MapOf, UNetConfig};
use crate::conv_norm::describe_norm;
use crate::spec::{Init, ParameterSpec};

/// Side of the kernel in pixels; a padding of one pixel keeps the size of the map.
const KERNEL: usize = 3;
/// Factor of the units' means and of the class areas in front of the last layer. Structures such as an optic cup cover a few hundredths
/// of the map, so that both differ by a few hundredths from image to image; without the factor, the last layer would need weights
/// that training does not reach.
const SCALE: f64 = 16.0;
/// Mean of max(z, 0) for a normally distributed z of mean 0 and variance 1, 1 / sqrt(2 pi): about the mean of a normalised unit.
const UNIT_CENTRE: f64 = 0.398_942_280_401_432_7;

/// From the bottom features `[B, C, h, w]` and, unless K is 0, the logits of a map `[B, K, h side, w side]` to the answers for an
/// image, such as the logits of its classes. [`Classifier`] describes the layers.
#[derive(Clone, Debug)]
pub(super) struct ClassificationHead {
    task: usize,
    /// Classes or numbers.
    outputs: usize,
    /// Channels of the bottom features.
    bottom: usize,
    /// K, classes of the map; 0 if it reads none.
    map: usize,
    /// Pixels of the map along one side of a pixel of the bottom features.
    side: usize,
    /// Channels of the convolution.
    width: usize,
    /// What is subtracted from the map's areas.
    area_centre: f64,
    classifier: Classifier,
    norm: Norm,
    precision: Precision,
}

impl ClassificationHead {
    /// The head of task `task`, which reads a map of `map` classes.
    ///
    /// # Errors
    /// If the width cannot be divided into groups, or the priors are no probabilities of the classes.
    pub(super) fn new(config: &UNetConfig, task: usize, map: usize) -> Result<Self> {
        let UNetConfig { classifier_width: width, eps, precision, .. } = *config;
        let (head, mut classifier) = (config.heads[task], config.classifier.clone());
        let outputs = head.outputs();
        // Priors are probabilities of classes.
        if let (Head::Image { .. }, Classifier::Normalized { priors }) = (head, &mut classifier) {
            *priors = None;
        }
        if let Classifier::Normalized { priors } = &classifier {
            if width == 0 {
                bail!("UNet: a classification head without channels");
            }
            let is_probability = |prior: &f64| *prior > 0.0 && *prior <= 1.0;
            let add_up = |priors: &[f64]| (priors.iter().sum::<f64>() - 1.0).abs() <= 1e-6;
            let fit =
                |priors: &Vec<f64>| priors.len() == outputs && priors.iter().all(is_probability) && add_up(priors);
            if !priors.as_ref().is_none_or(fit) {
                bail!("UNet: the priors {priors:?}: expected {outputs} positive numbers that add up to 1");
            }
        }
        Ok(Self {
            task,
            outputs,
            bottom: config.base << config.depth,
            map,
            side: 1 << config.depth,
            width,
            classifier,
            // Only this head's loss trains a map of its own, whose classes start about equally large.
            area_centre: if matches!(head.reads(), Some(MapOf::Own(_))) { 1.0 / map as f64 } else { 0.0 },
            // Each channel is a group of its own.
            norm: Norm { statistics: Statistics::Group { groups: width }, eps, activation: Activation::Relu },
            precision,
        })
    }

    /// Names, shapes and initial distributions of the parameters.
    pub(super) fn parameters(&self) -> Vec<ParameterSpec> {
        let inputs = self.bottom + self.map;
        let spec = |layer: &str, shape: Vec<usize>, init: Init| ParameterSpec {
            name: ParameterName::phi(self.task, layer),
            shape,
            init,
            decays: layer.ends_with("weight"),
        };
        let fan_in = Init::FanIn(KERNEL * KERNEL * inputs);
        let kernel = spec("conv.weight", vec![self.width, inputs, KERNEL, KERNEL], fan_in.clone());
        match &self.classifier {
            Classifier::Plain => {
                let of_linear = Init::FanIn(self.width);
                vec![
                    kernel,
                    spec("conv.bias", vec![self.width], fan_in),
                    spec("fc.weight", vec![self.outputs, self.width], of_linear.clone()),
                    spec("fc.bias", vec![self.outputs], of_linear),
                ]
            }
            Classifier::Normalized { priors } => {
                let reads = self.width + self.map.saturating_sub(1);
                let bias = match priors {
                    Some(priors) => priors.iter().map(|prior| prior.ln()).collect(),
                    None => vec![0.0; self.outputs],
                };
                let zeros = Init::Values(vec![0.0; self.outputs * reads]);
                vec![
                    kernel,
                    spec("fc.weight", vec![self.outputs, reads], zeros),
                    spec("fc.bias", vec![self.outputs], Init::Values(bias)),
                ]
            }
        }
    }

    /// The answers `[B, outputs]`; `map` is `None` if the head reads none.
    ///
    /// # Errors
    /// If a parameter is missing or a shape does not fit.
    pub(super) fn forward(&self, parameters: &Parameters, bottom: &Tensor, map: Option<&Tensor>) -> Result<Tensor> {
        let map = map.map(|map| pooled_softmax(map, self.side)).transpose()?;
        let units = self.units(parameters, bottom, map.as_ref())?;
        let read = match &self.classifier {
            Classifier::Normalized { .. } => self.scaled(&units, map.as_ref())?,
            Classifier::Plain => mean_pixels(&units)?,
        };
        let (weight, bias) = (self.own(parameters, "fc.weight")?, self.own(parameters, "fc.bias")?);
        linear(&read, weight, bias, Linear { precision: self.precision, ..Linear::default() })
    }

    /// Mean of each unit of the convolution over the pixels, `[B, width]`: 0 for a unit that is not active.
    ///
    /// # Errors
    /// As [`ClassificationHead::forward`].
    pub(super) fn hidden(&self, parameters: &Parameters, bottom: &Tensor, map: Option<&Tensor>) -> Result<Tensor> {
        let map = map.map(|map| pooled_softmax(map, self.side)).transpose()?;
        mean_pixels(&self.units(parameters, bottom, map.as_ref())?)
    }

    /// The convolution's units `[B, width, h, w]` after the ReLU, from the bottom features and the pooled map `[B, K, h, w]`.
    fn units(&self, parameters: &Parameters, bottom: &Tensor, map: Option<&Tensor>) -> Result<Tensor> {
        let joined = match map {
            Some(map) => join_channels(bottom, map)?,
            None => bottom.clone(),
        };
        let kernel = self.own(parameters, "conv.weight")?;
        let conv = Conv2d { padding: KERNEL / 2, precision: self.precision, ..Conv2d::default() };
        match self.classifier {
            Classifier::Plain => {
                let conv = Conv2d { activation: Activation::Relu, ..conv };
                conv2d(&joined, kernel, Some(self.own(parameters, "conv.bias")?), conv)
            }
            Classifier::Normalized { .. } => {
                let (_, _, height, width) = joined.dims4()?;
                if height * width == 1 {
                    bail!(
                        "UNet: the bottom of the network has a single pixel, over which a head with one answer per image cannot \
                         normalise; take larger images or fewer levels"
                    );
                }
                let weight = Tensor::ones(self.width, joined.dtype(), joined.device())?;
                let bias = weight.zeros_like()?;
                let unit = ConvNormUnit { kernel: kernel.clone(), weight, bias, conv };
                conv_norm_chain(ChainInput::Map(&joined), &[unit], self.norm)
            }
        }
    }

    /// What the last layer of [`Classifier::Normalized`] reads, `[B, width + K - 1]`: the mean of each unit over the pixels and the area
    /// of each class but the first, centred and scaled. Without a map, `[B, width]`.
    fn scaled(&self, units: &Tensor, map: Option<&Tensor>) -> Result<Tensor> {
        // The blocks of the pooled map tile the map, so that the mean of their means is the mean over the whole map.
        let means = match map {
            Some(map) => mean_pixels(&join_channels(units, map)?)?,
            None => mean_pixels(units)?,
        };
        let Scaling { selection, shift, inputs, outputs } = self.scaling();
        let constant = |values: Vec<f64>, shape: &[usize]| {
            Tensor::from_vec(values, shape, means.device())?.to_dtype(means.dtype())
        };
        let (selection, shift) = (constant(selection, &[outputs, inputs])?, constant(shift, &[outputs])?);
        linear(&means, &selection, &shift, Linear::default())
    }

    /// The linear map of [`ClassificationHead::scaled`].
    fn scaling(&self) -> Scaling {
        let (inputs, outputs) = (self.width + self.map, self.width + self.map.saturating_sub(1));
        let (mut selection, mut shift) = (vec![0.0f64; outputs * inputs], vec![0.0f64; outputs]);
        for row in 0..outputs {
            let (column, centre) = if row < self.width { (row, UNIT_CENTRE) } else { (row + 1, self.area_centre) };
            selection[row * inputs + column] = SCALE;
            shift[row] = -SCALE * centre;
        }
        Scaling { selection, shift, inputs, outputs }
    }

    /// Adds the layers from the bottom features and the logits of the map, if the head reads one, to `diagram`.
    pub(super) fn describe(&self, diagram: &mut Diagram, bottom: NodeId, map: Option<NodeId>) -> NodeId {
        let weights = |layer: &str| Weights::from(ParameterName::phi(self.task, layer));
        let map = map.map(|map| {
            let softmax = diagram.add(Layer::Softmax, &[map]);
            diagram.add(Layer::MeanPooling { side: self.side }, &[softmax])
        });
        let with_map = |diagram: &mut Diagram, x: NodeId| match map {
            Some(map) => diagram.add(Layer::Join, &[x, map]),
            None => x,
        };
        let joined = with_map(diagram, bottom);
        let bias = matches!(self.classifier, Classifier::Plain).then(|| weights("conv.bias"));
        let kernel = weights("conv.weight");
        let units = diagram.add(Layer::Convolution { kernel, bias, padding: KERNEL / 2 }, &[joined]);
        let read = match self.classifier {
            Classifier::Plain => {
                let units = diagram.add(Layer::Relu, &[units]);
                diagram.add(Layer::MeanPixels, &[units])
            }
            Classifier::Normalized { .. } => {
                let units = describe_norm(diagram, units, self.norm, None);
                let all = with_map(diagram, units);
                let means = diagram.add(Layer::MeanPixels, &[all]);
                let Scaling { selection, shift, inputs, outputs } = self.scaling();
                let constant = |layer: &str, shape: Vec<usize>, values: Vec<f64>| Weights::Constant {
                    name: ParameterName::phi(self.task, layer),
                    shape,
                    values,
                };
                let weight = constant("scaling.weight", vec![outputs, inputs], selection);
                let bias = constant("scaling.bias", vec![outputs], shift);
                diagram.add(Layer::Linear { weight, bias }, &[means])
            }
        };
        let (weight, bias) = (weights("fc.weight"), weights("fc.bias"));
        diagram.add(Layer::Linear { weight, bias }, &[read])
    }

    fn own<'a>(&self, parameters: &'a Parameters, layer: &str) -> Result<&'a Tensor> {
        parameters.phi(self.task, layer)
    }
}

/// A linear map that selects, scales and shifts the values that the last layer reads.
struct Scaling {
    /// `[outputs, inputs]`.
    selection: Vec<f64>,
    /// `[outputs]`.
    shift: Vec<f64>,
    inputs: usize,
    outputs: usize,
}
