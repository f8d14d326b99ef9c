//! The loss of a task: the sum of its parts, where all parts from `mtcool-ops` are evaluated in one operation.

use anyhow::Result;
use mtcool_core::Loss;
use mtcool_ops::{ClassLoss, LossSpec, RegressionLoss};

use crate::suite::{ConfigError, LossPart, TaskSpec};

/// The loss of `task`: the sum of `parts`.
///
/// # Errors
/// [`ConfigError`] if there is no part, or a setting is out of range.
pub(super) fn sum_of(parts: Vec<LossPart>, task: &TaskSpec) -> Result<Loss> {
    let mut classes = ClassLoss { ignored: task.ignored, ..ClassLoss::default() };
    let mut numbers = RegressionLoss::default();
    let mut own: Vec<Loss> = Vec::new();
    let mut is_fused = false;
    for part in parts {
        is_fused |= !matches!(part, LossPart::Own(_));
        match part {
            LossPart::CrossEntropy(loss) => classes.cross_entropy = Some(loss),
            LossPart::Dice(loss) => classes.dice = Some(loss),
            LossPart::Focal(loss) => classes.focal = Some(loss),
            LossPart::L1(weight) => numbers.l1 = Some(weight),
            LossPart::L2(weight) => numbers.l2 = Some(weight),
            LossPart::Huber(loss) => numbers.huber = Some(loss),
            LossPart::Own(loss) => own.push(loss),
        }
    }
    if is_fused {
        let fused = if task.output.is_numbers() { LossSpec::Regression(numbers) } else { LossSpec::Classes(classes) };
        let refused = |error| ConfigError::new(format!("loss.{}: {error}", task.name));
        fused.check(task.output.channels()).map_err(refused)?;
        own.insert(0, Box::new(move |output, target| fused.evaluate(output, target)));
    }
    let mut losses = own.into_iter();
    let first = losses
        .next()
        .ok_or_else(|| ConfigError::new(format!("`loss.{}` is empty: expected at least one loss", task.name)))?;
    Ok(losses.fold(first, |sum, loss| Box::new(move |output, target| sum(output, target)? + loss(output, target)?)))
}
