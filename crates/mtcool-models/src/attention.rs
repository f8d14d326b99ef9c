//! The attention modules of MTAN, the multi-task attention network (Liu et al. 2019).

use candle_core::{Result, Tensor};
use mtcool_core::{Diagram, Layer, NodeId, ParameterName, Parameters, Weights};
use mtcool_ops::{Activation, Conv2d, Norm, Precision, conv2d, gated, join_channels, norm};

use crate::conv_norm::describe_norm;
use crate::spec::{Init, ParameterSpec};

/// The attention module of one task at one level. With the level's shared features p `[B, C, H, W]`, features u of the same level
/// from which the mask is computed, and what the module of the level above passes on, e, the task reads
///
/// `sigmoid(h(relu(g([u, e])))) p`
///
/// where g and h are convolutions 1x1 with C outputs, each followed by the network's normalisation if it has one. The module's
/// parameters are the task's phi. What is passed on to the next level is a layer f of the result, which all tasks have in common.
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    task: usize,
    /// Name of the level's modules.
    name: String,
    /// Channels of `[u, e]`.
    inputs: usize,
    /// C.
    channels: usize,
    /// The network's normalisation; without one, the convolutions have biases.
    norm: Option<Norm>,
    precision: Precision,
}

impl Attention {
    /// The module `name` of task `task`, from `inputs` channels to a mask of `channels` channels.
    pub(crate) fn new(
        task: usize,
        name: String,
        [inputs, channels]: [usize; 2],
        norm: Option<Norm>,
        precision: Precision,
    ) -> Self {
        Self { task, name, inputs, channels, norm, precision }
    }

    /// The parameters of g and h.
    pub(crate) fn parameters(&self) -> Vec<ParameterSpec> {
        let mut specs = Vec::new();
        for (step, inputs) in [("g", self.inputs), ("h", self.channels)] {
            let mut add = |role: &str, shape: Vec<usize>, init: Init, decays: bool| {
                let name = ParameterName::phi(self.task, self.layer(step, role));
                specs.push(ParameterSpec { name, shape, init, decays });
            };
            add("weight", vec![self.channels, inputs, 1, 1], Init::FanIn(inputs), true);
            if self.norm.is_some() {
                for (role, start) in [("norm.weight", 1.0), ("norm.bias", 0.0)] {
                    add(role, vec![self.channels], Init::Values(vec![start; self.channels]), false);
                }
            } else {
                add("bias", vec![self.channels], Init::FanIn(inputs), false);
            }
        }
        specs
    }

    fn layer(&self, step: &str, role: &str) -> String {
        format!("{}.{step}.{role}", self.name)
    }

    /// What the task reads of `shared`, p: the mask follows from `u` and `earlier`, e, if there is a level above.
    ///
    /// # Errors
    /// If a parameter is missing or a shape does not fit.
    pub(crate) fn read(
        &self,
        parameters: &Parameters,
        shared: &Tensor,
        u: &Tensor,
        earlier: Option<&Tensor>,
    ) -> Result<Tensor> {
        let joined = match earlier {
            Some(earlier) => join_channels(u, earlier)?,
            None => u.clone(),
        };
        let hidden = self.step(parameters, "g", &joined, Activation::Relu)?;
        gated(shared, &self.step(parameters, "h", &hidden, Activation::Identity)?)
    }

    fn step(&self, parameters: &Parameters, step: &str, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let of = |role: &str| parameters.phi(self.task, &self.layer(step, role));
        let conv = Conv2d { precision: self.precision, ..Conv2d::default() };
        match self.norm {
            None => conv2d(x, of("weight")?, Some(of("bias")?), Conv2d { activation, ..conv }),
            Some(settings) => {
                let x = conv2d(x, of("weight")?, None, conv)?;
                norm(&x, of("norm.weight")?, of("norm.bias")?, Norm { activation, ..settings })
            }
        }
    }

    /// Adds what the task reads to `diagram`.
    pub(crate) fn describe(&self, diagram: &mut Diagram, shared: NodeId, u: NodeId, earlier: Option<NodeId>) -> NodeId {
        let mut x = match earlier {
            Some(earlier) => diagram.add(Layer::Join, &[u, earlier]),
            None => u,
        };
        for (step, activation) in [("g", Activation::Relu), ("h", Activation::Identity)] {
            let of = |role: &str| Weights::from(ParameterName::phi(self.task, self.layer(step, role)));
            let bias = self.norm.is_none().then(|| of("bias"));
            x = diagram.add(Layer::Convolution { kernel: of("weight"), bias, padding: 0 }, &[x]);
            x = match self.norm {
                Some(norm) => {
                    describe_norm(diagram, x, Norm { activation, ..norm }, Some([of("norm.weight"), of("norm.bias")]))
                }
                None if activation == Activation::Relu => diagram.add(Layer::Relu, &[x]),
                None => x,
            };
        }
        diagram.add(Layer::Gate, &[shared, x])
    }
}
