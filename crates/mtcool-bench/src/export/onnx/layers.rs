//! The nodes of each kind of layer.

use anyhow::{Context, Result};
use mtcool_core::{Layer, NormalizedTogether, Weights};

use super::builder::{Attribute, Builder};
use super::frame::ReadPicture;
use crate::export::content::{Content, Numbers};

/// Adds all layers, and returns the names of their outputs.
///
/// # Errors
/// If a parameter is missing.
pub(super) fn add(graph: &mut Builder, content: &Content, pictures: &[ReadPicture]) -> Result<Vec<String>> {
    let mut outputs: Vec<String> = Vec::with_capacity(content.diagram.nodes().len());
    for node in content.diagram.nodes() {
        let x: Vec<&str> = node.inputs.iter().map(|id| outputs[id.index()].as_str()).collect();
        let output = match &node.layer {
            Layer::Input(picture) => pictures[*picture].input.clone(),
            layer => output(&mut Nodes { graph: &mut *graph, content }, layer, &x)?,
        };
        outputs.push(output);
    }
    Ok(outputs)
}

struct Nodes<'a> {
    graph: &'a mut Builder,
    content: &'a Content,
}

/// Adds the nodes of `layer`, which reads `x`, and returns the name of the last one's output.
fn output(nodes: &mut Nodes<'_>, layer: &Layer, x: &[&str]) -> Result<String> {
    let first = *x.first().context("a layer that reads nothing")?;
    let both = |side: usize| vec![side as i64; 2];
    Ok(match layer {
        Layer::Input(_) => first.to_owned(),
        Layer::Convolution { kernel, bias, padding } => {
            let weights = [kernel].into_iter().chain(bias).map(|weights| nodes.weights(weights));
            let weights = weights.collect::<Result<Vec<_>>>()?;
            let inputs: Vec<&str> = [first].into_iter().chain(weights.iter().map(String::as_str)).collect();
            nodes.graph.node("Conv", &inputs, &[Attribute::Integers("pads", vec![*padding as i64; 4])])
        }
        Layer::TransposedConvolution { kernel, bias, stride } => {
            let (kernel, bias) = (nodes.weights(kernel)?, nodes.weights(bias)?);
            let strides = Attribute::Integers("strides", both(*stride));
            nodes.graph.node("ConvTranspose", &[first, &kernel, &bias], &[strides])
        }
        Layer::Normalization { over, eps, affine } => {
            let normalized = nodes.normalized(first, *over, *eps as f32);
            match affine {
                None => normalized,
                Some([scale, shift]) => {
                    let (scale, shift) = (nodes.per_channel(scale)?, nodes.per_channel(shift)?);
                    let scaled = nodes.graph.node("Mul", &[&normalized, &scale], &[]);
                    nodes.graph.node("Add", &[&scaled, &shift], &[])
                }
            }
        }
        Layer::Relu => nodes.graph.node("Relu", &[first], &[]),
        Layer::MaxPooling { side, stride } => {
            let window = Attribute::Integers("kernel_shape", both(*side));
            nodes.graph.node("MaxPool", &[first], &[window, Attribute::Integers("strides", both(*stride))])
        }
        Layer::MeanPooling { side } => {
            let window = Attribute::Integers("kernel_shape", both(*side));
            nodes.graph.node("AveragePool", &[first], &[window, Attribute::Integers("strides", both(*side))])
        }
        Layer::MeanPixels => {
            let sides = nodes.graph.integers(&[2, 3]);
            nodes.graph.node("ReduceMean", &[first, &sides], &[Attribute::Integer("keepdims", 0)])
        }
        Layer::Join => nodes.graph.node("Concat", x, &[Attribute::Integer("axis", 1)]),
        Layer::Softmax => nodes.graph.node("Softmax", &[first], &[Attribute::Integer("axis", 1)]),
        Layer::Flatten => nodes.graph.node("Flatten", &[first], &[Attribute::Integer("axis", 1)]),
        Layer::Linear { weight, bias } => {
            let (weight, bias) = (nodes.weights(weight)?, nodes.weights(bias)?);
            nodes.graph.node("Gemm", &[first, &weight, &bias], &[Attribute::Integer("transB", 1)])
        }
        Layer::WeightedSum { weights } => {
            let Numbers { name, values, .. } = nodes.content.numbers(weights)?;
            let mut terms = Vec::with_capacity(x.len());
            for (at, (x, weight)) in x.iter().zip(values).enumerate() {
                let weight = nodes.graph.floats(&format!("{name}.{at}"), &[], &[weight]);
                terms.push(nodes.graph.node("Mul", &[*x, weight.as_str()], &[]));
            }
            nodes.graph.node("Sum", &terms.iter().map(String::as_str).collect::<Vec<_>>(), &[])
        }
        Layer::ChannelSum { weights, is_map } => {
            let Numbers { name, shape, values } = nodes.content.numbers(weights)?;
            let channels = shape.last().copied().unwrap_or(0);
            let shape = if *is_map { vec![channels, 1, 1] } else { vec![channels] };
            let mut terms = Vec::with_capacity(x.len());
            for (at, (x, weights)) in x.iter().zip(values.chunks(channels.max(1))).enumerate() {
                let weights = nodes.graph.floats(&format!("{name}.{at}"), &shape, weights);
                terms.push(nodes.graph.node("Mul", &[*x, weights.as_str()], &[]));
            }
            nodes.graph.node("Sum", &terms.iter().map(String::as_str).collect::<Vec<_>>(), &[])
        }
        Layer::Mixture => {
            let mut terms = Vec::with_capacity(x.len());
            for (at, x) in x[1..].iter().enumerate() {
                let place = nodes.graph.integers(&[at as i64]);
                let share = nodes.graph.node("Gather", &[first, &place], &[Attribute::Integer("axis", 1)]);
                terms.push(nodes.graph.node("Mul", &[*x, share.as_str()], &[]));
            }
            nodes.graph.node("Sum", &terms.iter().map(String::as_str).collect::<Vec<_>>(), &[])
        }
        Layer::Gate => {
            let logits = *x.get(1).context("a gate without logits")?;
            let gate = nodes.graph.node("Sigmoid", &[logits], &[]);
            nodes.graph.node("Mul", &[first, &gate], &[])
        }
        Layer::Split { columns } => {
            let shape = nodes.graph.integers(&[0, -1, *columns as i64]);
            nodes.graph.node("Reshape", &[first, &shape], &[])
        }
    })
}

impl Nodes<'_> {
    fn weights(&mut self, weights: &Weights) -> Result<String> {
        let Numbers { name, shape, values } = self.content.numbers(weights)?;
        Ok(self.graph.floats(&name, &shape, &values))
    }

    /// The weights `[C]` as something to add to, or multiply with, a map.
    fn per_channel(&mut self, weights: &Weights) -> Result<String> {
        let Numbers { name, values, .. } = self.content.numbers(weights)?;
        Ok(self.graph.floats(&name, &[values.len(), 1, 1], &values))
    }

    /// `(x - mean) / sqrt(variance + eps)`.
    fn normalized(&mut self, x: &str, over: NormalizedTogether, eps: f32) -> String {
        let graph = &mut *self.graph;
        match over {
            // An instance normalisation of maps whose channels are the groups. ONNX has a group normalisation, too, but defines
            // it by the mean of the squares minus the square of the mean, which loses digits.
            NormalizedTogether::Groups(groups) => {
                let in_groups = graph.integers(&[0, groups as i64, -1]);
                let [ones, zeros] = [("ones", 1.0), ("zeros", 0.0)]
                    .map(|(name, value)| graph.floats(&format!("/{name}/{groups}"), &[groups], &vec![value; groups]));
                let grouped = graph.node("Reshape", &[x, &in_groups], &[]);
                let eps = Attribute::Float("epsilon", eps);
                let grouped = graph.node("InstanceNormalization", &[&grouped, &ones, &zeros], &[eps]);
                let shape = graph.node("Shape", &[x], &[]);
                graph.node("Reshape", &[&grouped, &shape], &[])
            }
            NormalizedTogether::Batch => {
                let axes = graph.integers(&[0, 2, 3]);
                let mean = graph.node("ReduceMean", &[x, &axes], &[]);
                let centred = graph.node("Sub", &[x, &mean], &[]);
                let squares = graph.node("Mul", &[&centred, &centred], &[]);
                let variance = graph.node("ReduceMean", &[&squares, &axes], &[]);
                let eps = graph.number(eps);
                let raised = graph.node("Add", &[&variance, &eps], &[]);
                let deviation = graph.node("Sqrt", &[&raised], &[]);
                graph.node("Div", &[&centred, &deviation], &[])
            }
        }
    }
}
