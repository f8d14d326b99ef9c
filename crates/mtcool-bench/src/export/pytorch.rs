//! safetensors files for PyTorch: weights under plain names, and the list of layers that uses them.

use std::collections::BTreeMap;

use anyhow::Result;
use mtcool_core::{Layer, Node, NodeId, NormalizedTogether, Weights};
use serde_json::{Map, Value, json};

use super::content::{Answer, Content};

/// The content of the file. Its metadata has one entry, `mtcool`, with everything but the weights as JSON.
///
/// # Errors
/// If a parameter is missing.
pub(super) fn bytes(content: &Content) -> Result<Vec<u8>> {
    let weights = content.weights();
    let tensor = |(name, weights): (&String, &&Weights)| Ok((name.clone(), content.tensor(weights)?));
    let tensors = weights.iter().map(tensor).collect::<Result<BTreeMap<_, _>>>()?;
    let is_constant = |(_, weights): &(&String, &&Weights)| matches!(weights, Weights::Constant { .. });
    let constants: Vec<&String> = weights.iter().filter(is_constant).map(|(name, _)| name).collect();
    let outputs: Map<String, Value> =
        content.tasks.iter().map(|Answer { name, node, .. }| (name.to_string(), node.index().into())).collect();
    let description = json!({
        "run": content.about,
        "pictures": content.pictures_json(),
        "tasks": content.tasks_json(),
        "layers": content.diagram.nodes().iter().map(|node| layer(content, node)).collect::<Vec<_>>(),
        "outputs": outputs,
        "constants": constants,
    });
    // With one entry, the order of the metadata, which is random, does not matter.
    Ok(safetensors::serialize(tensors, Some([("mtcool".to_owned(), description.to_string())].into()))?)
}

/// A layer as JSON: its kind, the places of the layers that it reads, the names of its weights, and its settings.
fn layer(content: &Content, node: &Node) -> Value {
    let name = |weights: &Weights| content.name(weights);
    let read: Vec<usize> = node.inputs.iter().copied().map(NodeId::index).collect();
    let (kind, settings) = match &node.layer {
        Layer::Input(picture) => ("input", json!({ "picture": picture })),
        Layer::Convolution { kernel, bias, padding } => {
            ("convolution", json!({ "weight": name(kernel), "bias": bias.as_ref().map(name), "padding": padding }))
        }
        Layer::TransposedConvolution { kernel, bias, stride } => {
            ("transposed_convolution", json!({ "weight": name(kernel), "bias": name(bias), "stride": stride }))
        }
        Layer::Normalization { over, eps, affine } => {
            let [weight, bias] = match affine {
                Some([scale, shift]) => [Some(name(scale)), Some(name(shift))],
                None => [None, None],
            };
            let groups = match over {
                NormalizedTogether::Groups(groups) => Some(groups),
                NormalizedTogether::Batch => None,
            };
            ("normalization", json!({ "weight": weight, "bias": bias, "groups": groups, "eps": eps }))
        }
        Layer::Relu => ("relu", json!({})),
        Layer::MaxPooling { side, stride } => ("max_pooling", json!({ "side": side, "stride": stride })),
        Layer::MeanPooling { side } => ("mean_pooling", json!({ "side": side })),
        Layer::MeanPixels => ("mean_pixels", json!({})),
        Layer::Join => ("join", json!({})),
        Layer::Softmax => ("softmax", json!({})),
        Layer::Flatten => ("flatten", json!({})),
        Layer::Linear { weight, bias } => ("linear", json!({ "weight": name(weight), "bias": name(bias) })),
        Layer::WeightedSum { weights } => ("weighted_sum", json!({ "weight": name(weights) })),
        Layer::ChannelSum { weights, .. } => ("channel_sum", json!({ "weight": name(weights) })),
        Layer::Mixture => ("mixture", json!({})),
        Layer::Gate => ("gate", json!({})),
        Layer::Split { columns } => ("split", json!({ "columns": columns })),
    };
    let mut all = Map::new();
    all.insert("kind".into(), kind.into());
    all.insert("reads".into(), read.into());
    if let Value::Object(settings) = settings {
        all.extend(settings);
    }
    all.into()
}
