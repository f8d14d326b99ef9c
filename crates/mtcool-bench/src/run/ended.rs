//! Why a run ended before its budget was used up.

use mtcool_core::Error;

use crate::suite::Name;

/// The process was asked to stop. The run is marked as interrupted, and continues from a checkpoint of its last step.
#[derive(Debug, thiserror::Error)]
#[error("{run} is kept up to step {step} (epoch {epoch} of {epochs})")]
pub struct Interrupted {
    /// The run's name.
    pub run: String,
    /// Number of completed steps.
    pub step: u64,
    /// The epoch that it was in, counted from 1.
    pub epoch: u64,
    /// Number of epochs of the budget.
    pub epochs: u64,
}

/// Training cannot go on. The run is marked as failed, and the sweep continues with the other runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Diverged {
    /// The loss of a training step is not finite.
    #[error("{run}: step {step}: task `{task}`")]
    Step {
        /// The run's name: method and seed.
        run: String,
        /// Number of steps before.
        step: u64,
        /// The task's name.
        task: Name,
        /// The loss that is not finite.
        source: Error,
    },

    /// The method refuses the losses or gradients of a step, and would refuse them again.
    #[error("{run}: step {step}: the method cannot go on")]
    Method {
        /// The run's name: method and seed.
        run: String,
        /// Number of steps before.
        step: u64,
        /// What the method refuses.
        source: Error,
    },

    /// The network's predictions are not finite, although the losses of all training steps are.
    #[error("{run}: step {step}: evaluation of the {split} split")]
    Evaluation {
        /// The run's name: method and seed.
        run: String,
        /// Number of steps before.
        step: u64,
        /// The split's name.
        split: &'static str,
        /// The value that is not finite.
        source: anyhow::Error,
    },
}
