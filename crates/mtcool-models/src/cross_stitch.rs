//! Cross-stitch networks (Misra et al. 2016): one network per task, and units that mix their features between two layers.

use candle_core::{Result, Tensor, bail};
use mtcool_core::{Diagram, Layer, NodeId, ParameterKind, ParameterName, Parameters};
use mtcool_ops::{WeightsOf, weighted_sum};

use crate::spec::{Init, ParameterSpec};

/// Cross-stitch units. After a layer, with the features x_j `[B, C, ...]` of the networks of T tasks, the network of task k reads
///
/// `sum_j alpha_kj x_j`
///
/// in its next layer. A unit of a layer has T x T weights alpha, or as many for each channel.
///
/// The rows alpha_k are parameters `{layer}.stitch` of task k: theta, since the other tasks read what task k's network makes of
/// its features; phi after the last layer, whose features head k alone reads. They are initialised near the identity, and weight decay
/// leaves them alone. With the identity, the network is T independent ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossStitch {
    /// The initial weight of a task's own features, in 0..=1; the other tasks' features share the rest evenly.
    pub own: f64,
    /// Whether each channel has weights of its own.
    pub per_channel: bool,
}

impl Default for CrossStitch {
    /// One unit per layer, 0.9 near the identity.
    fn default() -> Self {
        Self { own: 0.9, per_channel: false }
    }
}

/// The units after one layer.
#[derive(Clone, Debug)]
pub(crate) struct StitchedLayer {
    units: CrossStitch,
    /// Name of the weights.
    name: String,
    /// Theta, or phi after the last layer.
    kind: ParameterKind,
    tasks: usize,
    channels: usize,
}

impl CrossStitch {
    pub(crate) fn check(self) -> Result<()> {
        if (0.0..=1.0).contains(&self.own) {
            return Ok(());
        }
        bail!("cross-stitch units: the initial weight of a task's own features is {}: expected 0 to 1", self.own)
    }

    /// The units after the layer `layer` of `channels` channels per task; `is_last` if nothing but the heads reads what they mix.
    pub(crate) fn after(self, layer: &str, tasks: usize, channels: usize, is_last: bool) -> StitchedLayer {
        let kind = if is_last { ParameterKind::Phi } else { ParameterKind::Theta };
        StitchedLayer { units: self, name: format!("{layer}.stitch"), kind, tasks, channels }
    }
}

impl StitchedLayer {
    /// The weights of all tasks; none for a single task, whose features are all there is.
    pub(crate) fn parameters(&self) -> Vec<ParameterSpec> {
        let CrossStitch { own, per_channel } = self.units;
        if self.tasks < 2 {
            return Vec::new();
        }
        let spread = (1.0 - own) / (self.tasks - 1) as f64;
        let copies = if per_channel { self.channels } else { 1 };
        let of_task = |task: usize| {
            let weights = (0..self.tasks).flat_map(|other| vec![if other == task { own } else { spread }; copies]);
            let shape = if per_channel { vec![self.tasks, self.channels] } else { vec![self.tasks] };
            ParameterSpec { name: self.row(task), shape, init: Init::Values(weights.collect()), decays: false }
        };
        (0..self.tasks).map(of_task).collect()
    }

    /// The name of alpha_k for task k.
    fn row(&self, task: usize) -> ParameterName {
        ParameterName { kind: self.kind, task, layer: self.name.clone() }
    }

    /// What task `task` reads of `features`, which each task's network has computed.
    ///
    /// # Errors
    /// If weights are missing or shapes do not fit.
    pub(crate) fn mix(&self, parameters: &Parameters, task: usize, features: &[Tensor]) -> Result<Tensor> {
        if let [own] = features {
            return Ok(own.clone());
        }
        let alpha = match self.kind {
            ParameterKind::Theta => parameters.theta(task, &self.name)?,
            ParameterKind::Phi => parameters.phi(task, &self.name)?,
        };
        let of = if self.units.per_channel { WeightsOf::Channels } else { WeightsOf::Parts };
        weighted_sum(&features.iter().collect::<Vec<_>>(), alpha, of)
    }

    /// The same for all tasks.
    ///
    /// # Errors
    /// As [`StitchedLayer::mix`].
    pub(crate) fn mix_all(&self, parameters: &Parameters, features: &[Tensor]) -> Result<Vec<Tensor>> {
        (0..features.len()).map(|task| self.mix(parameters, task, features)).collect()
    }

    /// Adds to `diagram` what task `task` reads of `features`; `is_map` if they are maps.
    pub(crate) fn describe(&self, diagram: &mut Diagram, task: usize, features: &[NodeId], is_map: bool) -> NodeId {
        if let [own] = features {
            return *own;
        }
        let weights = self.row(task).into();
        let layer = match self.units.per_channel {
            true => Layer::ChannelSum { weights, is_map },
            false => Layer::WeightedSum { weights },
        };
        diagram.add(layer, features)
    }
}
