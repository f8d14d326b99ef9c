//! A network as a list of layers, from which files for other programs are written.

use crate::parameter_name::ParameterName;

/// A layer of a diagram, by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(usize);

impl NodeId {
    /// Its place in [`Diagram::nodes`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// A layer with what it reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The layer.
    pub layer: Layer,
    /// The layers whose outputs it reads; each comes earlier in the list.
    pub inputs: Vec<NodeId>,
}

/// The layers of a network, in an order in which they can be computed.
///
/// [`Network::describe`](crate::Network::describe) adds the layers of one task. A layer that is there already, with the same
/// weights and inputs, is not added again, so that the tasks of a network share what they have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagram {
    nodes: Vec<Node>,
    /// The task to which the parameters of new layers belong, in place of the one that the layers name.
    owner: Option<usize>,
}

/// What a layer computes. Maps are `[B, C, H, W]`, features are `[B, F]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// The network's input of this number. Tasks with different numbers see different pictures.
    Input(usize),
    /// A convolution with stride 1, of a map.
    Convolution {
        /// `[O, C, kh, kw]`.
        kernel: Weights,
        /// `[O]`.
        bias: Option<Weights>,
        /// Width of the border of zeros around the map, in pixels.
        padding: usize,
    },
    /// A transposed convolution whose windows do not overlap: `stride` is the side of its kernel.
    TransposedConvolution {
        /// `[C, O, stride, stride]`.
        kernel: Weights,
        /// `[O]`.
        bias: Weights,
        /// Factor by which the sides of the map grow.
        stride: usize,
    },
    /// `(x - mean) / sqrt(variance + eps) * scale + shift` of a map, with the biased variance.
    Normalization {
        /// What is normalised together.
        over: NormalizedTogether,
        /// Added to the variance.
        eps: f64,
        /// Scale and shift of each channel, `[C]` each; 1 and 0 if there are none.
        affine: Option<[Weights; 2]>,
    },
    /// `max(0, x)`.
    Relu,
    /// The largest value in each window of `side` x `side` pixels; windows that a map ends within are left out.
    MaxPooling {
        /// Side of the windows in pixels.
        side: usize,
        /// Distance between neighbouring windows in pixels.
        stride: usize,
    },
    /// The mean of each block of `side` x `side` pixels, which tile the map.
    MeanPooling {
        /// Side of the blocks in pixels.
        side: usize,
    },
    /// The mean of each channel of a map, `[B, C]`.
    MeanPixels,
    /// The channels of all inputs in turn, in one map.
    Join,
    /// The softmax over the second dimension.
    Softmax,
    /// The values of each sample in a row: `[B, F]` from `[B, ...]`. The number of values has to be fixed, and with it the size of
    /// the network's input.
    Flatten,
    /// `x weight^T + bias` of features.
    Linear {
        /// `[O, F]`.
        weight: Weights,
        /// `[O]`.
        bias: Weights,
    },
    /// The sum of all inputs, input j times `weights[j]`.
    WeightedSum {
        /// `[T]`, one per input.
        weights: Weights,
    },
    /// The sum of all inputs, channel c of input j times `weights[j, c]`.
    ChannelSum {
        /// `[T, C]`, one per input and channel.
        weights: Weights,
        /// Whether the inputs are maps `[B, C, H, W]`; otherwise they are features `[B, C]`.
        is_map: bool,
    },
    /// The sum of all inputs but the first, features `[B, F]` each: input j times column j - 1 of the first input `[B, J]`.
    Mixture,
    /// The first input times the sigmoid of the second one.
    Gate,
    /// Features `[B, F]` as `[B, F / columns, columns]`.
    Split {
        /// Size of the last dimension.
        columns: usize,
    },
}

/// Which values a [`Layer::Normalization`] takes mean and variance of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormalizedTogether {
    /// The channels of a group, separately for each sample, with this number of groups.
    Groups(usize),
    /// Each channel over all samples of the present batch.
    Batch,
}

/// The numbers that a layer multiplies or adds.
#[derive(Clone, Debug, PartialEq)]
pub enum Weights {
    /// Trained parameters, one above the other along their first dimension.
    Parameters(Vec<ParameterName>),
    /// Numbers that belong to the network and are never trained.
    Constant {
        /// Their name, unlike that of any parameter.
        name: ParameterName,
        /// Their shape.
        shape: Vec<usize>,
        /// The numbers in row-major order.
        values: Vec<f64>,
    },
}

impl From<ParameterName> for Weights {
    fn from(name: ParameterName) -> Self {
        Self::Parameters(vec![name])
    }
}

impl Weights {
    fn names_mut(&mut self) -> &mut [ParameterName] {
        match self {
            Self::Parameters(names) => names,
            Self::Constant { name, .. } => std::slice::from_mut(name),
        }
    }
}

impl Layer {
    /// All weights of the layer, in the order of its fields.
    pub fn weights(&self) -> Vec<&Weights> {
        match self {
            Self::Convolution { kernel, bias, .. } => [kernel].into_iter().chain(bias).collect(),
            Self::TransposedConvolution { kernel, bias, .. } => vec![kernel, bias],
            Self::Normalization { affine, .. } => affine.iter().flatten().collect(),
            Self::Linear { weight, bias } => vec![weight, bias],
            Self::WeightedSum { weights } | Self::ChannelSum { weights, .. } => vec![weights],
            _ => Vec::new(),
        }
    }

    fn weights_mut(&mut self) -> Vec<&mut Weights> {
        match self {
            Self::Convolution { kernel, bias, .. } => [kernel].into_iter().chain(bias).collect(),
            Self::TransposedConvolution { kernel, bias, .. } => vec![kernel, bias],
            Self::Normalization { affine, .. } => affine.iter_mut().flatten().collect(),
            Self::Linear { weight, bias } => vec![weight, bias],
            Self::WeightedSum { weights } | Self::ChannelSum { weights, .. } => vec![weights],
            _ => Vec::new(),
        }
    }
}

impl Diagram {
    /// The layers in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The layer at `id`, with what it reads.
    ///
    /// # Panics
    /// If `id` comes from another diagram that has more layers.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Adds `layer`, which reads `inputs`, unless there is the same layer already.
    pub fn add(&mut self, mut layer: Layer, inputs: &[NodeId]) -> NodeId {
        if let Some(owner) = self.owner {
            let names = layer.weights_mut().into_iter().flat_map(Weights::names_mut);
            names.for_each(|name| name.task = owner);
        }
        let node = Node { layer, inputs: inputs.to_vec() };
        let known = self.nodes.iter().position(|known| *known == node);
        NodeId(known.unwrap_or_else(|| {
            self.nodes.push(node);
            self.nodes.len() - 1
        }))
    }

    /// What `build` returns; the parameters of the layers that it adds belong to task `task`, whichever task it names. A network
    /// that is one task's part of a larger one is described in this way.
    pub fn with_owner<R>(&mut self, task: usize, build: impl FnOnce(&mut Self) -> R) -> R {
        let outer = self.owner.replace(task);
        let built = build(self);
        self.owner = outer;
        built
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(task: usize) -> Layer {
        let name = |role: &str| ParameterName::phi(task, format!("out.{role}"));
        Layer::Linear { weight: name("weight").into(), bias: name("bias").into() }
    }

    #[test]
    fn what_tasks_have_in_common_is_there_once() {
        let mut diagram = Diagram::default();
        let mut describe = |task: usize| {
            let input = diagram.add(Layer::Input(0), &[]);
            let features = diagram.add(Layer::Relu, &[input]);
            diagram.add(linear(task), &[features])
        };
        let outputs = [describe(0), describe(1), describe(0)];
        assert_eq!(outputs.map(NodeId::index), [2, 3, 2]);
        assert_eq!(diagram.nodes().len(), 4);
        assert_eq!(diagram.node(outputs[1]).inputs, diagram.node(outputs[0]).inputs);
    }

    #[test]
    fn the_parts_of_a_larger_network_own_their_parameters() {
        let mut diagram = Diagram::default();
        let input = diagram.add(Layer::Input(0), &[]);
        let parts: Vec<NodeId> =
            (0..2).map(|task| diagram.with_owner(task, |diagram| diagram.add(linear(0), &[input]))).collect();
        assert_eq!(parts, [diagram.add(linear(0), &[input]), diagram.add(linear(1), &[input])]);
        assert_eq!(diagram.node(parts[1]).layer.weights().len(), 2);
    }
}
