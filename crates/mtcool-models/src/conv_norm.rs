//! Convolution 3x3, normalisation, ReLU: the unit a U-Net is made of, shared out among tasks or owned by one.

use candle_core::{Result, Tensor, bail};
use mtcool_core::{ParameterKind, ParameterName, Parameters};
use mtcool_ops::{Conv2d, ConvNormUnit, Precision, Rows, Statistics, stack_rows, tracks};

use crate::spec::{Init, ParameterSpec};

/// Who owns a unit's output channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// All tasks, with these shares of the channels: part of the encoder.
    Tasks(Vec<usize>),
    /// One task, all of them: part of its decoder.
    Task(usize),
}

/// Side of the kernel in pixels; one pixel of padding keeps the image's size.
const KERNEL: usize = 3;

/// `relu(norm(conv(x)))`, the convolution without a bias, which the normalisation would remove.
#[derive(Clone, Debug)]
pub(crate) struct ConvNorm {
    conv: String,
    norm: String,
    inputs: usize,
    outputs: usize,
    owner: Owner,
}

impl ConvNorm {
    /// Unit `index` of `block` (such as `enc0`), from `inputs` to `outputs` channels, normalised by `statistics`, whose groups
    /// never straddle two tasks' channels.
    ///
    /// # Errors
    /// If the groups do not divide the channels that way.
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
        // Over the batch each channel is normalised by itself.
        let Statistics::Group { groups } = statistics else { return Ok(unit) };
        let straddles = match &unit.owner {
            Owner::Task(_) => false,
            Owner::Tasks(shares) => {
                groups > 0 && shares.iter().any(|share| !share.is_multiple_of(outputs / groups.min(outputs)))
            }
        };
        if groups == 0 || !outputs.is_multiple_of(groups) || straddles {
            bail!(
                "{}: {groups} groups of {outputs} channels, owned as {:?}: groups must divide the channels, and each task's share of them, evenly",
                unit.norm,
                unit.owner
            );
        }
        Ok(unit)
    }

    pub(crate) fn parameters(&self) -> Vec<ParameterSpec> {
        let owners: Vec<(ParameterKind, usize, usize)> = match &self.owner {
            Owner::Tasks(shares) => {
                shares.iter().enumerate().map(|(task, &share)| (ParameterKind::Theta, task, share)).collect()
            }
            Owner::Task(task) => vec![(ParameterKind::Phi, *task, self.outputs)],
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

    /// The unit for [`conv_norm_chain`](mtcool_ops::conv_norm_chain).
    pub(crate) fn unit(&self, parameters: &Parameters, precision: Precision) -> Result<ConvNormUnit> {
        let (kernel, rows) = self.collect(parameters, &format!("{}.weight", self.conv))?;
        let (weight, _) = self.collect(parameters, &format!("{}.weight", self.norm))?;
        let (bias, _) = self.collect(parameters, &format!("{}.bias", self.norm))?;
        let conv = Conv2d { padding: KERNEL / 2, rows, precision, ..Conv2d::default() };
        Ok(ConvNormUnit { kernel, weight, bias, conv })
    }

    /// The owners' tensors of one layer, side by side, and the rows from the first to the last that the graph tracks.
    fn collect(&self, parameters: &Parameters, layer: &str) -> Result<(Tensor, Rows)> {
        let shares = match &self.owner {
            Owner::Task(task) => return Ok((parameters.phi(*task, layer)?.clone(), Rows::All)),
            Owner::Tasks(shares) => shares,
        };
        let parts = (0..shares.len()).map(|task| parameters.theta(task, layer)).collect::<Result<Vec<_>>>()?;
        Ok((stack_rows(&parts)?, trained_rows(parts.iter().map(|part| tracks(part)), shares)))
    }
}

/// From the first to the last row that trains, of owners that have `shares` of the rows.
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
