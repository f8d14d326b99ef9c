//! What stands in the place of the cooperative encoder: how the tasks share the layers in front of their heads.

use candle_core::{Result, bail};

use crate::cross_stitch::CrossStitch;
use crate::experts::Experts;
use crate::fusion::Fusion;

/// How the tasks share the layers in front of their heads.
///
/// Parameters on which the losses of several tasks depend are theta, whichever task their names give them to; those on which the loss
/// of one task alone depends are this task's phi. So every method that tells shared parameters from a task's own trains every
/// architecture. Where an architecture has layers that all tasks compute in common, the tasks own their channels in even shares, as in
/// the cooperative encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Architecture {
    /// One encoder for all tasks (Caruana 1997): the cooperative encoder, whose channels the tasks own together.
    #[default]
    HardSharing,
    /// A network of the full widths for each task, and cross-stitch units between them (Misra et al. 2016).
    CrossStitch(CrossStitch),
    /// The multi-task attention network (Liu et al. 2019): one encoder for all tasks, and at each level a soft mask per task that
    /// selects from the shared features.
    Mtan,
    /// Experts that read shared features, and a softmax gate per task (Ma et al. 2018, Tang et al. 2020); for vectors of features.
    Experts(Experts),
}

impl Architecture {
    /// Checks its own settings, and that it fits the settings of the cooperative encoder.
    ///
    /// # Errors
    /// If a setting is out of range, or the architecture excludes this fusion or allocation.
    pub(crate) fn check(self, fusion: Fusion, allocation: &[f64]) -> Result<()> {
        if self != Self::HardSharing && fusion != Fusion::Concat {
            bail!("{fusion:?} is a fusion of hard sharing: with the architecture {self:?}, expected Fusion::Concat");
        }
        match self {
            Self::CrossStitch(_) if !allocation.is_empty() => bail!(
                "the allocation {allocation:?} divides the channels of a shared encoder: with cross-stitch units each task has all \
                 channels of a network of its own, so expected none"
            ),
            Self::CrossStitch(units) => units.check(),
            Self::Experts(experts) => experts.check(),
            Self::HardSharing | Self::Mtan => Ok(()),
        }
    }
}
