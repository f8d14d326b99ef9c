//! Convolution 3x3, normalisation, ReLU: the unit that a U-Net consists of. All tasks own its channels together, or one task
//! owns all of them.

use candle_core::{Result, Tensor, bail};
use mtcool_core::{Diagram, Layer, NodeId, NormalizedTogether, ParameterKind, ParameterName, Parameters, Weights};
use mtcool_ops::{
    Activation, ChainInput, Conv2d, ConvNormUnit, Norm, Precision, Rows, Statistics, conv_norm_chain, stack_rows,
};

use crate::spec::{Init, ParameterSpec};

/// Who owns a unit's output channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// All tasks, with these shares of the channels: a unit of the encoder.
    Tasks(Vec<usize>),
    /// One task owns all channels: as phi a unit of its decoder, as theta one of its own encoder, whose features other tasks read.
    Task(ParameterKind, usize),
}

/// Side of the kernel in pixels; a padding of one pixel keeps the size of the map.
const KERNEL: usize = 3;

/// `relu(norm(conv(x)))`. The convolution has no bias, since the normalisation would remove it.
#[derive(Clone, Debug)]
pub(crate) struct ConvNorm {
    conv: String,
    norm: String,
    inputs: usize,
    outputs: usize,
    owner: Owner,
}

impl ConvNorm {
    /// Unit `index` of `block` (such as `enc0`), from `inputs` to `outputs` channels, normalised by `statistics`. No group of
    /// channels contains channels of two tasks.
    ///
    /// # Errors
    /// If the channels of a task cannot be divided into such groups.
    pub(crate) fn new(
        block: &str,
        index: usize,
        inputs: usize,
        outputs: usize,
        owner: Owner,
        statistics: Statistics,
    ) -> Result<Self> {
        let unit =
            Self { conv: format!("{block}.conv{index}"), norm: format!("{block}.norm{index}"), inputs, outputs, owner };
        // Batch normalisation treats every channel by itself and has no groups.
        let Statistics::Group { groups } = statistics else { return Ok(unit) };
        let straddles = match &unit.owner {
            Owner::Task(..) => false,
            Owner::Tasks(shares) => {
                groups > 0 && shares.iter().any(|share| !share.is_multiple_of(outputs / groups.min(outputs)))
            }
        };
        if groups == 0 || !outputs.is_multiple_of(groups) || straddles {
            bail!(
                "{}: {groups} groups of {outputs} channels, owned by {:?}: the number of groups must divide the channels, and the channels of a group must divide each task's share; change the widths or the groups",
                unit.norm,
                unit.owner
            );
        }
        Ok(unit)
    }

    /// Kernel, and weight and bias of the normalisation, of every owner.
    pub(crate) fn parameters(&self) -> Vec<ParameterSpec> {
        let owners: Vec<(ParameterKind, usize, usize)> = match &self.owner {
            Owner::Tasks(shares) => {
                shares.iter().enumerate().map(|(task, &share)| (ParameterKind::Theta, task, share)).collect()
            }
            Owner::Task(kind, task) => vec![(*kind, *task, self.outputs)],
        };
        let of_owner = |(kind, task, share): (ParameterKind, usize, usize)| {
            let name = |layer: String| ParameterName { kind, task, layer };
            let norm = |role: &str, start: f64| {
                let (name, init) = (name(format!("{}.{role}", self.norm)), Init::Values(vec![start; share]));
                ParameterSpec { name, shape: vec![share], init, decays: false }
            };
            let kernel = ParameterSpec {
                name: name(format!("{}.weight", self.conv)),
                shape: vec![share, self.inputs, KERNEL, KERNEL],
                init: Init::FanIn(self.inputs * KERNEL * KERNEL),
                decays: true,
            };
            [kernel, norm("weight", 1.0), norm("bias", 0.0)]
        };
        owners.into_iter().flat_map(of_owner).collect()
    }

    /// The unit with its parameters, for [`conv_norm_chain`].
    ///
    /// # Errors
    /// If a parameter is missing.
    fn unit(&self, parameters: &Parameters, precision: Precision) -> Result<ConvNormUnit> {
        let (kernel, rows) = self.collect(parameters, &format!("{}.weight", self.conv))?;
        let (weight, _) = self.collect(parameters, &format!("{}.weight", self.norm))?;
        let (bias, _) = self.collect(parameters, &format!("{}.bias", self.norm))?;
        let conv = Conv2d { padding: KERNEL / 2, rows, precision, ..Conv2d::default() };
        Ok(ConvNormUnit { kernel, weight, bias, conv })
    }

    /// Adds the unit, which reads `x`, to `diagram`.
    pub(crate) fn describe(&self, diagram: &mut Diagram, x: NodeId, norm: Norm) -> NodeId {
        let kernel = self.weights(&format!("{}.weight", self.conv));
        let x = diagram.add(Layer::Convolution { kernel, bias: None, padding: KERNEL / 2 }, &[x]);
        let affine = ["weight", "bias"].map(|role| self.weights(&format!("{}.{role}", self.norm)));
        describe_norm(diagram, x, norm, Some(affine))
    }

    /// The parameters of all owners for one layer.
    fn weights(&self, layer: &str) -> Weights {
        match &self.owner {
            Owner::Task(kind, task) => ParameterName { kind: *kind, task: *task, layer: layer.to_owned() }.into(),
            Owner::Tasks(shares) => {
                Weights::Parameters((0..shares.len()).map(|task| ParameterName::theta(task, layer)).collect())
            }
        }
    }

    /// The tensors of all owners for one layer, stacked, and the range of rows that train.
    fn collect(&self, parameters: &Parameters, layer: &str) -> Result<(Tensor, Rows)> {
        let shares = match &self.owner {
            Owner::Task(ParameterKind::Phi, task) => return Ok((parameters.phi(*task, layer)?.clone(), Rows::All)),
            Owner::Task(ParameterKind::Theta, task) => return Ok((parameters.theta(*task, layer)?.clone(), Rows::All)),
            Owner::Tasks(shares) => shares,
        };
        let parts = (0..shares.len()).map(|task| parameters.theta(task, layer)).collect::<Result<Vec<_>>>()?;
        Ok((stack_rows(&parts)?, trained_rows(parts.iter().map(|part| part.track_op()), shares)))
    }
}

/// The output of `units`, one after the other.
///
/// # Errors
/// If a parameter is missing or a shape does not fit.
pub(crate) fn chained(
    parameters: &Parameters,
    input: ChainInput<'_>,
    units: &[ConvNorm],
    norm: Norm,
    precision: Precision,
) -> Result<Tensor> {
    let units = units.iter().map(|unit| unit.unit(parameters, precision)).collect::<Result<Vec<_>>>()?;
    conv_norm_chain(input, &units, norm)
}

/// Adds the normalisation `norm` of `x`, with its activation, to `diagram`.
pub(crate) fn describe_norm(diagram: &mut Diagram, x: NodeId, norm: Norm, affine: Option<[Weights; 2]>) -> NodeId {
    let Norm { statistics, eps, activation } = norm;
    let over = match statistics {
        Statistics::Group { groups } => NormalizedTogether::Groups(groups),
        Statistics::Batch => NormalizedTogether::Batch,
    };
    let x = diagram.add(Layer::Normalization { over, eps, affine }, &[x]);
    match activation {
        Activation::Identity => x,
        Activation::Relu => diagram.add(Layer::Relu, &[x]),
    }
}

/// The range from the first to the last row that trains; owner k has `shares[k]` rows, and `trains` says whether they train.
pub(crate) fn trained_rows(trains: impl Iterator<Item = bool>, shares: &[usize]) -> Rows {
    let (mut start, mut end, mut first) = (None, 0, 0);
    for (trains, share) in trains.zip(shares) {
        if trains {
            start = start.or(Some(first));
            end = first + share;
        }
        first += share;
    }
    Rows::Only(start.unwrap_or(end)..end)
}
