//! The loss of one task, whatever kind of targets it has.

use candle_core::{Result, Tensor};

use super::operation::class_loss;
use super::regression::regression_loss;
use crate::loss_settings::{ClassLoss, LossSettingError, RegressionLoss};

/// The loss of one task, as settings: what turns a network's output `[B, ...]` and its targets into a scalar.
#[derive(Clone, Debug, PartialEq)]
pub enum LossSpec {
    /// Of logits and classes.
    Classes(ClassLoss),
    /// Of numbers.
    Regression(RegressionLoss),
}

impl LossSpec {
    /// Checks every setting for outputs of `outputs` classes or numbers.
    ///
    /// # Errors
    /// With the key and the valid range of the first setting out of range.
    pub fn check(&self, outputs: usize) -> std::result::Result<(), LossSettingError> {
        match self {
            Self::Classes(loss) => loss.check(outputs),
            Self::Regression(loss) => loss.check(),
        }
    }

    /// The loss, a scalar in the graph: [`class_loss`](crate::class_loss()) or [`regression_loss`](crate::regression_loss()).
    ///
    /// # Errors
    /// As those.
    pub fn evaluate(&self, output: &Tensor, target: &Tensor) -> Result<Tensor> {
        match self {
            Self::Classes(loss) => class_loss(output, target, loss),
            Self::Regression(loss) => regression_loss(output, target, loss),
        }
    }
}
