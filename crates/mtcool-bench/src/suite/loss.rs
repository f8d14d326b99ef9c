//! A loss before it is built: its settings for a task, and its contribution to the task's loss.

use std::fmt::Debug;

use anyhow::Result;
use mtcool_core::Loss;
use mtcool_ops::{CrossEntropy, Dice, Focal, Huber};
use serde_json::Value;

use super::name::Name;
use super::settings::{Settings, SettingsError};
use super::task::TaskSpec;

/// Reads the settings of a loss for a task.
pub type ReadLoss = fn(&Settings, &TaskSpec) -> Result<Box<dyn LossSettings>, SettingsError>;

/// A kind of loss as the program knows it: one entry of the registry.
#[derive(Clone, Debug)]
pub struct LossEntry {
    /// The key in a task's table `[loss.TASK]`.
    pub name: Name,
    /// Reads the settings at that key, for this task.
    pub settings: ReadLoss,
}

/// Counts how often each class of a task occurs among the training targets. It is called only if a setting needs the counts.
pub type ClassCounts<'a> = dyn Fn() -> Result<Vec<u64>> + 'a;

/// The settings of a loss, from which the loss is built.
pub trait LossSettings: Debug + Send + Sync {
    /// All settings with defaults filled in. They are part of the run's identity.
    fn describe(&self) -> Value;

    /// The contribution of this loss to the task's loss.
    ///
    /// # Errors
    /// If a setting is out of range, or the classes cannot be counted.
    fn part(&self, counts: &ClassCounts<'_>) -> Result<LossPart>;
}

/// The contribution of one kind of loss to a task's loss. The losses of `mtcool-ops` are evaluated together, in one pass over
/// the logits.
pub enum LossPart {
    /// Cross-entropy of classes.
    CrossEntropy(CrossEntropy),
    /// Soft Dice loss of classes.
    Dice(Dice),
    /// Focal loss of classes.
    Focal(Focal),
    /// Absolute error of numbers, with this weight.
    L1(f64),
    /// Squared error of numbers, with this weight.
    L2(f64),
    /// Huber loss of numbers.
    Huber(Huber),
    /// Any other function of (output, target), multiplied by its weight already.
    Own(Loss),
}
