//! A network before it is built: its sizes from the experiment, and the function that builds it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use mtcool_core::Network;
use mtcool_models::{Architecture, Independent};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::architecture::{ArchitectureKind, ArchitectureTables, CgcSetting, CrossStitchSetting, MmoeSetting};
use super::error::ConfigError;
use super::name::Name;
use super::task::TaskSpec;

/// A network as the program knows it: one entry of the registry.
#[derive(Clone)]
pub struct NetworkEntry {
    /// Its name in `network.kind`.
    pub name: Name,
    /// Returns the number that divides the height and width of every valid input.
    pub side_multiple: fn(&NetworkConfig) -> usize,
    /// Returns the number of levels whose inside the network can compute again in the backward pass: the largest valid
    /// [`NetworkRequest::recompute`].
    pub levels: fn(&NetworkConfig) -> usize,
    /// The architectures that it can be built with, values of `network.architecture`.
    pub architectures: &'static [ArchitectureKind],
    /// Builds the network for the requested tasks.
    pub build: fn(&NetworkRequest<'_>) -> Result<Box<dyn Network>>,
}

/// The arguments from which a network is built.
#[derive(Clone, Copy, Debug)]
pub struct NetworkRequest<'a> {
    /// The table `network` of the experiment.
    pub config: &'a NetworkConfig,
    /// Channels, height and width of the training inputs, `[C, H, W]`.
    pub input: [usize; 3],
    /// The tasks that the network serves: all tasks of the data set, or a single one.
    pub tasks: &'a [TaskSpec],
    /// All tasks of the data set.
    pub all_tasks: &'a [TaskSpec],
    /// The precision of the operands of convolutions and linear layers.
    pub precision: PrecisionSetting,
    /// Levels, from the top, whose inside is not kept for the backward pass, which computes it again; it must change no result.
    pub recompute: usize,
}

/// Whether the tasks share a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// All tasks share one network.
    Shared,
    /// Each task has its own network.
    Separate,
}

impl NetworkEntry {
    /// A network whose inputs may have any size, which keeps what its backward pass needs, and whose layers in front of the heads are
    /// shared by all tasks.
    pub fn new(name: impl Into<Name>, build: fn(&NetworkRequest<'_>) -> Result<Box<dyn Network>>) -> Self {
        let architectures = &[ArchitectureKind::HardSharing];
        Self { name: name.into(), side_multiple: |_| 1, levels: |_| 0, architectures, build }
    }

    /// Builds one network for all tasks of `request`, or one network per task.
    ///
    /// # Errors
    /// If the network does not have the requested architecture, the sizes do not fit the tasks, or the network has fewer levels than
    /// are to be computed again.
    pub fn network(&self, request: NetworkRequest<'_>, sharing: Sharing) -> Result<Box<dyn Network>> {
        request.config.architecture.check_among(self.architectures, &self.name)?;
        self.check_recompute(&request)?;
        if sharing == Sharing::Shared {
            return (self.build)(&request);
        }
        let alone = |task: &TaskSpec| (self.build)(&NetworkRequest { tasks: std::slice::from_ref(task), ..request });
        Ok(Box::new(Independent::new(request.tasks.iter().map(alone).collect::<Result<_>>()?)?))
    }

    fn check_recompute(&self, request: &NetworkRequest<'_>) -> Result<(), ConfigError> {
        let (asked, most) = (request.recompute, (self.levels)(request.config));
        if asked <= most {
            return Ok(());
        }
        let expected = match most {
            0 => format!(
                "expected 0, since the network `{}` has no levels that can be computed again; leave it out",
                self.name
            ),
            most => format!("expected 0 to {most}, the number of levels of the network"),
        };
        Err(ConfigError::new(format!("`recompute` is {asked}: {expected}")))
    }
}

/// Kind, sizes and settings of the network: the table `network`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// The name of a network of the registry; the default is the data set's usual network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Number of channels or units of each layer, summed over all tasks.
    #[serde(default)]
    pub widths: Vec<usize>,
    /// Each task's part of the shared channels and units, in proportion to these numbers; even shares by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allocation: Vec<f64>,
    /// `concat` or `cross_stitch`.
    #[serde(default = "concat")]
    pub fusion: String,
    /// How the tasks share the layers in front of their heads.
    #[serde(default, skip_serializing_if = "ArchitectureKind::is_default")]
    pub architecture: ArchitectureKind,
    /// Settings of the architecture `cross_stitch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross_stitch: Option<CrossStitchSetting>,
    /// Settings of the architecture `mmoe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mmoe: Option<MmoeSetting>,
    /// Settings of the architecture `cgc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgc: Option<CgcSetting>,
    /// Number of groups of each group normalisation, for networks that use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<usize>,
    /// The set of values that are normalised together, for networks with normalisation layers.
    #[serde(default, skip_serializing_if = "NormKind::is_default")]
    pub norm: NormKind,
    /// How far the gradient of a classification passes into the map that it reads, for networks with such a head.
    #[serde(default, skip_serializing_if = "MapGradientSetting::is_default")]
    pub map_gradient: MapGradientSetting,
    /// The layers of a classification's head, for networks with such a head.
    #[serde(default, skip_serializing_if = "ClassifierSetting::is_default")]
    pub classifier: ClassifierSetting,
    /// The probability of each class that the head `normalized` predicts before training; equal probabilities by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_priors: Option<Vec<f64>>,
    /// What heads with one answer per image read, for networks with dense tasks as well.
    #[serde(default, skip_serializing_if = "ImageHeadSetting::is_default")]
    pub image_heads: ImageHeadSetting,
    /// Settings of a network that the user wrote.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Value>,
}

fn concat() -> String {
    "concat".into()
}

impl NetworkRequest<'_> {
    /// Each task's part of the shared channels, checked; empty for even shares and for a network of one of several tasks.
    ///
    /// # Errors
    /// If there is not one positive number per task.
    pub fn allocation(&self) -> Result<Vec<f64>, ConfigError> {
        let (parts, tasks) = (&self.config.allocation, self.all_tasks.len());
        let is_valid = parts.len() == tasks && parts.iter().all(|part| part.is_finite() && *part > 0.0);
        if !parts.is_empty() && !is_valid {
            let names: Vec<&str> = self.all_tasks.iter().map(|task| &*task.name).collect();
            return Err(ConfigError::new(format!(
                "`network.allocation` is {parts:?}: expected a number above 0 for each of the tasks {}",
                names.join(", ")
            )));
        }
        Ok(if self.tasks.len() < tasks { Vec::new() } else { parts.clone() })
    }

    /// How the tasks share the layers in front of their heads, checked; a network of one of several tasks shares nothing, and has the
    /// plain layers of hard sharing.
    ///
    /// # Errors
    /// If a setting of the architecture is out of range, or excluded by another one of the network.
    pub fn architecture(&self) -> Result<Architecture, ConfigError> {
        let NetworkConfig { architecture: kind, fusion, allocation, .. } = self.config;
        let (name, architecture) = (kind.name(), self.config.tables().of_network(*kind)?);
        if *kind != ArchitectureKind::HardSharing && fusion != "concat" {
            return Err(ConfigError::new(format!(
                "`network.fusion` is `{fusion}`, a setting of `hard_sharing`: with `network.architecture = \"{name}\"`, expected `concat`"
            )));
        }
        if *kind == ArchitectureKind::CrossStitch && !allocation.is_empty() {
            return Err(ConfigError::new(format!(
                "`network.allocation` is {allocation:?}: with `network.architecture = \"{name}\"` each task has a network of its \
                 own, so leave it out"
            )));
        }
        Ok(if self.tasks.len() < self.all_tasks.len() { Architecture::HardSharing } else { architecture })
    }
}

impl NetworkConfig {
    fn tables(&self) -> ArchitectureTables {
        ArchitectureTables { cross_stitch: self.cross_stitch, mmoe: self.mmoe, cgc: self.cgc }
    }

    /// The same with the settings of the chosen architecture, defaults filled in, and without those of others: rows of one table may
    /// choose different architectures, and no row depends on the settings of another one's.
    #[must_use]
    pub fn with_chosen_architecture(self) -> Self {
        let ArchitectureTables { cross_stitch, mmoe, cgc } = self.tables().of(self.architecture);
        Self { cross_stitch, mmoe, cgc, ..self }
    }

    /// Reads the settings of a network that the user wrote.
    ///
    /// # Errors
    /// If a key is unknown, missing or of the wrong type.
    pub fn settings<S: DeserializeOwned>(&self) -> Result<S> {
        let table = Value::Object(self.settings.clone().into_iter().collect());
        Ok(serde_json::from_value(table).map_err(|error| ConfigError::new(format!("`network.settings`: {error}")))?)
    }

    /// The widths, if there are exactly `N` of them. The error message lists `names`.
    ///
    /// # Errors
    /// If there are more or fewer.
    pub fn widths<const N: usize>(&self, names: [&str; N]) -> Result<[usize; N]> {
        <[usize; N]>::try_from(&self.widths[..])
            .map_err(|_| {
                let (got, names) = (&self.widths, names.join(", "));
                ConfigError::new(format!("`network.widths` is {got:?}: expected {N} numbers, [{names}]"))
            })
            .context("`network`")
    }
}

/// How far the gradient of a classification passes into the segmentation map that it reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MapGradientSetting {
    /// Through the decoder into theta; the decoder's own parameters are treated as constants.
    #[default]
    ThetaOnly,
    /// Through the decoder into theta, and also into the decoder's own parameters.
    Everything,
    /// Not at all: the map is treated as a constant.
    None,
}

impl MapGradientSetting {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The corresponding setting of `mtcool-models`.
    pub fn of_network(self) -> mtcool_models::MapGradient {
        match self {
            Self::ThetaOnly => mtcool_models::MapGradient::ThetaOnly,
            Self::Everything => mtcool_models::MapGradient::Everything,
            Self::None => mtcool_models::MapGradient::None,
        }
    }
}

/// What heads with one answer per image read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageHeadSetting {
    /// The bottom features beside the map of the first segmentation task, if there is such a task.
    #[default]
    Map,
    /// The bottom features alone.
    Features,
}

impl ImageHeadSetting {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The layers of a classification's head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassifierSetting {
    /// Convolution, ReLU, mean over the pixels, linear layer.
    #[default]
    Plain,
    /// The same with a normalisation before the ReLU, and with the areas of the map's classes beside the pooled features.
    Normalized,
}

impl ClassifierSetting {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The corresponding setting of `mtcool-models`.
    ///
    /// # Errors
    /// If there are `priors` for a head that does not use them.
    pub fn of_network(self, priors: Option<&Vec<f64>>) -> Result<mtcool_models::Classifier, ConfigError> {
        match (self, priors) {
            (Self::Normalized, priors) => Ok(mtcool_models::Classifier::Normalized { priors: priors.cloned() }),
            (Self::Plain, None) => Ok(mtcool_models::Classifier::Plain),
            (Self::Plain, Some(priors)) => Err(ConfigError::new(format!(
                "`network.class_priors` is {priors:?}, which the head `plain` does not use: leave it out, or set \
                 `network.classifier = \"normalized\"`"
            ))),
        }
    }
}

/// The set of values that a normalisation layer normalises together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormKind {
    /// Groups of channels, separately for each image.
    #[default]
    Group,
    /// Each channel over the current batch, in training and in evaluation; there are no running means.
    Batch,
}

impl NormKind {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The precision of the operands of convolutions and linear layers. Sums, losses and parameters are always f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrecisionSetting {
    /// The operands are not rounded.
    #[default]
    F32,
    /// The operands are rounded to bf16.
    Bf16,
    /// The operands are rounded to TF32 by the tensor cores of an NVIDIA card; only valid on such a card.
    Tf32,
}

impl PrecisionSetting {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The corresponding setting of `mtcool-ops`.
    pub fn of_operands(self) -> mtcool_ops::Precision {
        match self {
            Self::F32 => mtcool_ops::Precision::Full,
            Self::Bf16 => mtcool_ops::Precision::Bf16,
            Self::Tf32 => mtcool_ops::Precision::Tf32,
        }
    }
}
