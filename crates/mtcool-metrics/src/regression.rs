//! Agreement of predicted numbers with true ones.

use crate::error::{MetricError, all_finite, same_length};

/// Predicted numbers beside the true ones.
#[derive(Clone, Debug)]
pub struct Regression<'a> {
    predicted: &'a [f64],
    target: &'a [f64],
}

impl<'a> Regression<'a> {
    /// Takes `predicted` `[N]` and `target` `[N]`.
    ///
    /// # Errors
    /// If the lengths differ or a number is not finite.
    pub fn new(predicted: &'a [f64], target: &'a [f64]) -> Result<Self, MetricError> {
        same_length("predicted numbers", predicted.len(), target.len())?;
        all_finite("predicted number", predicted)?;
        all_finite("true number", target)?;
        Ok(Self { predicted, target })
    }

    /// Mean of `|predicted - target|`; NaN without any number.
    pub fn mean_absolute_error(&self) -> f64 {
        let errors = self.predicted.iter().zip(self.target).map(|(predicted, target)| (predicted - target).abs());
        errors.sum::<f64>() / self.target.len() as f64
    }

    /// Coefficient of determination, `1 - sum (predicted - target)^2 / sum (target - mean)^2`: 1 for right predictions, 0 for the
    /// mean of the targets, below 0 for worse. NaN if all targets are equal.
    pub fn r_squared(&self) -> f64 {
        let center = mean(self.target);
        let spread: f64 = self.target.iter().map(|target| (target - center).powi(2)).sum();
        let errors = self.predicted.iter().zip(self.target).map(|(predicted, target)| (predicted - target).powi(2));
        if spread > 0.0 { 1.0 - errors.sum::<f64>() / spread } else { f64::NAN }
    }

    /// Pearson's correlation, -1 to 1. NaN if all predictions or all targets are equal.
    pub fn pearson(&self) -> f64 {
        let [p, t] = [mean(self.predicted), mean(self.target)];
        let sum = |product: fn(f64, f64) -> f64| -> f64 {
            self.predicted.iter().zip(self.target).map(|(predicted, target)| product(predicted - p, target - t)).sum()
        };
        let (common, lengths) = (sum(|a, b| a * b), [sum(|a, _| a * a), sum(|_, b| b * b)]);
        if lengths.iter().all(|&squared| squared > 0.0) {
            (common / lengths[0].sqrt() / lengths[1].sqrt()).clamp(-1.0, 1.0)
        } else {
            f64::NAN
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
