//! The key `network.architecture`, how the tasks share the layers in front of their heads, and the settings of each architecture.

use mtcool_models::{Architecture, CrossStitch, Experts};
use serde::{Deserialize, Serialize};

use super::error::ConfigError;

/// The largest number of experts of one kind; more is a mistake.
const MOST_EXPERTS: usize = 64;

/// What stands in the place of the cooperative encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArchitectureKind {
    /// The cooperative encoder itself, whose channels the tasks own together.
    #[default]
    HardSharing,
    /// A network per task, and cross-stitch units between them.
    CrossStitch,
    /// The multi-task attention network.
    Mtan,
    /// The multi-gate mixture of experts.
    Mmoe,
    /// Customized gate control: a mixture of shared experts and experts of each task.
    Cgc,
}

impl ArchitectureKind {
    /// Its name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::HardSharing => "hard_sharing",
            Self::CrossStitch => "cross_stitch",
            Self::Mtan => "mtan",
            Self::Mmoe => "mmoe",
            Self::Cgc => "cgc",
        }
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that it is one of `known`, which the network `network` has.
    ///
    /// # Errors
    /// If it is not.
    pub(super) fn check_among(self, known: &[Self], network: &str) -> Result<(), ConfigError> {
        if known.contains(&self) {
            return Ok(());
        }
        let known: Vec<&str> = known.iter().map(|known| known.name()).collect();
        Err(ConfigError::new(format!(
            "`network.architecture` is `{}`, which the network `{network}` does not have: expected {}",
            self.name(),
            known.join(" or ")
        )))
    }
}

/// The settings of all architectures. A row of a table has those of the architecture that it chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ArchitectureTables {
    pub(super) cross_stitch: Option<CrossStitchSetting>,
    pub(super) mmoe: Option<MmoeSetting>,
    pub(super) cgc: Option<CgcSetting>,
}

impl ArchitectureTables {
    /// The settings of `kind` alone, with defaults filled in.
    pub(super) fn of(self, kind: ArchitectureKind) -> Self {
        let none = Self::default();
        match kind {
            ArchitectureKind::HardSharing | ArchitectureKind::Mtan => none,
            ArchitectureKind::CrossStitch => Self { cross_stitch: Some(self.cross_stitch.unwrap_or_default()), ..none },
            ArchitectureKind::Mmoe => Self { mmoe: Some(self.mmoe.unwrap_or_default()), ..none },
            ArchitectureKind::Cgc => Self { cgc: Some(self.cgc.unwrap_or_default()), ..none },
        }
    }

    /// The corresponding setting of `mtcool-models`.
    ///
    /// # Errors
    /// If a number is out of range.
    pub(super) fn of_network(self, kind: ArchitectureKind) -> Result<Architecture, ConfigError> {
        Ok(match kind {
            ArchitectureKind::HardSharing => Architecture::HardSharing,
            ArchitectureKind::Mtan => Architecture::Mtan,
            ArchitectureKind::CrossStitch => {
                let CrossStitchSetting { own, per } = self.cross_stitch.unwrap_or_default();
                if !(0.0..=1.0).contains(&own) {
                    let message = format!("`network.cross_stitch.own` is {own}: expected a number from 0 to 1");
                    return Err(ConfigError::new(message));
                }
                Architecture::CrossStitch(CrossStitch { own, per_channel: per == StitchWeights::Channel })
            }
            ArchitectureKind::Mmoe => {
                let MmoeSetting { experts } = self.mmoe.unwrap_or_default();
                Architecture::Experts(Experts::mmoe(number("mmoe.experts", experts)?))
            }
            ArchitectureKind::Cgc => {
                let CgcSetting { shared_experts, task_experts } = self.cgc.unwrap_or_default();
                let shared = number("cgc.shared_experts", shared_experts)?;
                Architecture::Experts(Experts::cgc(shared, number("cgc.task_experts", task_experts)?))
            }
        })
    }
}

fn number(key: &str, experts: usize) -> Result<usize, ConfigError> {
    if (1..=MOST_EXPERTS).contains(&experts) {
        return Ok(experts);
    }
    Err(ConfigError::new(format!("`network.{key}` is {experts}: expected 1 to {MOST_EXPERTS}")))
}

/// The table `network.cross_stitch`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrossStitchSetting {
    /// The initial weight of a task's own features, from 0 to 1; the other tasks' features share the rest evenly.
    pub own: f64,
    /// What has weights of its own.
    pub per: StitchWeights,
}

impl Default for CrossStitchSetting {
    fn default() -> Self {
        Self { own: CrossStitch::default().own, per: StitchWeights::default() }
    }
}

/// What has cross-stitch weights of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StitchWeights {
    /// Each layer.
    #[default]
    Layer,
    /// Each channel of each layer.
    Channel,
}

/// The table `network.mmoe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MmoeSetting {
    /// Number of experts, which all tasks read.
    pub experts: usize,
}

impl Default for MmoeSetting {
    /// As many as two tasks have in total by the defaults of `cgc`.
    fn default() -> Self {
        Self { experts: 3 }
    }
}

/// The table `network.cgc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CgcSetting {
    /// Number of experts that all tasks read.
    pub shared_experts: usize,
    /// Number of further experts of each task.
    pub task_experts: usize,
}

impl Default for CgcSetting {
    fn default() -> Self {
        Self { shared_experts: 1, task_experts: 1 }
    }
}
