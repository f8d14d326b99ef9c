//! M(.) of Eq. (1): how the features of all tasks are combined before the next layer reads them.

use candle_core::{Result, Tensor, bail};
use mtcool_core::{Diagram, Layer, NodeId, ParameterName, Parameters};
use mtcool_ops::{WeightsOf, weighted_sum};

use crate::spec::{Init, ParameterSpec};

/// The choice of M(.).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fusion {
    /// Concatenation along the channels: every task reads the features of all tasks. The paper's choice.
    #[default]
    Concat,
    /// Cross-stitch units (Misra et al. 2016): task k reads `sum_j alpha_kj x_j`, with alpha_k `[T]` learned as part of
    /// theta_k. All tasks need the same number of channels. A kernel reads one share of the channels instead of all, so the network
    /// has fewer parameters.
    CrossStitch,
    /// None: task k reads its own features, so that the layers of the tasks are separate columns, which something else combines,
    /// such as cross-stitch units that can be recorded. All tasks need the same number of channels.
    Separate,
}

/// The initial weight of a task's own features in a cross-stitch unit; the other tasks' features share the rest evenly.
const OWN_FEATURES: f64 = 0.9;

/// The features of all tasks after a layer.
#[derive(Clone, Debug)]
pub enum Features {
    /// The channels of all tasks in one tensor `[B, C, ...]`.
    Joined(Tensor),
    /// One tensor `[B, C/T, ...]` per task.
    Separate(Vec<Tensor>),
}

impl Features {
    /// Applies `change`, for example pooling, to all features.
    ///
    /// # Errors
    /// The first error of `change`.
    pub fn map(&self, change: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        match self {
            Self::Joined(features) => change(features).map(Self::Joined),
            Self::Separate(features) => features.iter().map(change).collect::<Result<_>>().map(Self::Separate),
        }
    }

    /// The features of each task, or those of all tasks as the only ones.
    pub fn into_separate(self) -> Vec<Tensor> {
        match self {
            Self::Joined(features) => vec![features],
            Self::Separate(features) => features,
        }
    }

    /// The features that task `task` reads.
    pub fn of_task(&self, task: usize) -> &Tensor {
        match self {
            Self::Joined(features) => features,
            Self::Separate(features) => &features[task],
        }
    }
}

impl Fusion {
    /// How many channels each task reads of a layer whose tasks own `shares` of the channels.
    ///
    /// # Errors
    /// If each task reads as many channels as it owns, and the shares differ.
    pub fn fused_channels(self, shares: &[usize]) -> Result<usize> {
        match self {
            Self::Concat => Ok(shares.iter().sum()),
            Self::CrossStitch | Self::Separate if shares.iter().all(|&share| share == shares[0]) => Ok(shares[0]),
            Self::CrossStitch => bail!(
                "cross-stitch fusion adds the tasks' features, so the widths must divide evenly among tasks, got shares {shares:?}; choose widths that {} divides, or concat",
                shares.len()
            ),
            Self::Separate => bail!("separate columns need the same number of channels each, got shares {shares:?}"),
        }
    }

    /// The specifications of the learned parameters of the fusion after the layer called `layer`.
    pub fn parameters(self, layer: &str, tasks: usize) -> Vec<ParameterSpec> {
        if self != Self::CrossStitch || tasks < 2 {
            return Vec::new();
        }
        let spread = (1.0 - OWN_FEATURES) / (tasks - 1) as f64;
        let unit = |task: usize| ParameterSpec {
            name: ParameterName::theta(task, format!("{layer}.stitch")),
            shape: vec![tasks],
            init: Init::Values((0..tasks).map(|other| if other == task { OWN_FEATURES } else { spread }).collect()),
            // A mixture of features: decay would turn features off.
            decays: false,
        };
        (0..tasks).map(unit).collect()
    }

    /// M(.) after the layer called `layer`. Features in one tensor are concatenated already and stay as they are, and so do those of
    /// separate columns.
    ///
    /// # Errors
    /// If the weights of a unit are missing or shapes do not fit.
    pub fn fuse(self, parameters: &Parameters, layer: &str, features: Features) -> Result<Features> {
        let Features::Separate(own) = &features else { return Ok(features) };
        if own.len() < 2 || self == Self::Separate {
            return Ok(features);
        }
        let parts: Vec<&Tensor> = own.iter().collect();
        let stitch =
            |task: usize| weighted_sum(&parts, parameters.theta(task, &format!("{layer}.stitch"))?, WeightsOf::Parts);
        (0..own.len()).map(stitch).collect::<Result<_>>().map(Features::Separate)
    }

    /// Adds M(.) after the layer called `layer` to `diagram`, as [`Fusion::fuse`] computes it: `own` are the features of each
    /// task, or the joined features of all tasks.
    pub(crate) fn describe(self, diagram: &mut Diagram, layer: &str, own: Vec<NodeId>) -> Vec<NodeId> {
        if self != Self::CrossStitch || own.len() < 2 {
            return own;
        }
        let stitch = |task: usize| {
            let weights = ParameterName::theta(task, format!("{layer}.stitch")).into();
            diagram.add(Layer::WeightedSum { weights }, &own)
        };
        (0..own.len()).map(stitch).collect()
    }
}
