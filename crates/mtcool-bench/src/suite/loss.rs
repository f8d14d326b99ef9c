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
///
/// A loss of one's own, `charbonnier = { weight, eps }` in a task's table: the mean of `weight sqrt(e^2 + eps^2)` over the numbers that
/// are known.
///
/// ```
/// use mtcool_bench::suite::{ClassCounts, LossEntry, LossPart, LossSettings, Settings, SettingsError};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Charbonnier {
///     weight: f64,
///     eps: f64,
/// }
///
/// impl LossSettings for Charbonnier {
///     fn describe(&self) -> serde_json::Value {
///         serde_json::json!(self)
///     }
///
///     fn part(&self, _: &ClassCounts<'_>) -> anyhow::Result<LossPart> {
///         let (weight, eps) = (self.weight, self.eps);
///         Ok(LossPart::Own(Box::new(move |output, target| {
///             let is_known = target.eq(target)?; // NaN is a missing number
///             let error = is_known.where_cond(&(output - target)?, &output.zeros_like()?)?;
///             let lengths = (error.sqr()? + eps * eps)?.sqrt()?;
///             let is_known = is_known.to_dtype(output.dtype())?;
///             let count = is_known.sum_all()?.maximum(1.0)?;
///             (lengths * is_known)?.sum_all()?.div(&count)? * weight
///         })))
///     }
/// }
///
/// fn entry() -> LossEntry {
///     LossEntry {
///         name: "charbonnier".into(),
///         settings: |settings, task| {
///             let keys: Charbonnier = settings.read()?;
///             if !task.output.is_numbers() {
///                 return Err(SettingsError::new("", format!("task `{}`: expected numbers, not classes", task.name)));
///             }
///             if !(keys.eps > 0.0) {
///                 return Err(SettingsError::new("eps", format!("{}: expected a number above 0", keys.eps)));
///             }
///             Ok(Box::new(keys))
///         },
///     }
/// }
///
/// # fn main() -> anyhow::Result<()> {
/// # use candle_core::{Device, Tensor, Var};
/// # use mtcool_bench::suite::{TaskOutput, TaskSpec};
/// let task = TaskSpec::new("angle", TaskOutput::Regression { values: 1 });
/// let settings = Settings::default().or("weight", 2.0).or("eps", 3.0);
/// let settings = (entry().settings)(&settings, &task).expect("settings in their ranges");
/// let LossPart::Own(loss) = settings.part(&|| Ok(Vec::new()))? else { unreachable!() };
/// let output = Var::new(&[[5.0], [0.0]], &Device::Cpu)?;
/// let value = loss(&output, &Tensor::new(&[[1.0], [f64::NAN]], &Device::Cpu)?)?;
/// assert_eq!(value.to_scalar::<f64>()?, 2.0 * 5.0); // the root of 16 + 9
/// let gradient = value.backward()?.remove(&output).unwrap().flatten_all()?.to_vec1::<f64>()?;
/// assert_eq!(gradient, [2.0 * 4.0 / 5.0, 0.0]);
/// assert!((entry().settings)(&Settings::default().or("weight", 2.0).or("eps", 0.0), &task).is_err());
/// # Ok(())
/// # }
/// ```
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
