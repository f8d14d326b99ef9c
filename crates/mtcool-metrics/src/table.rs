//! Figures that summarise a table of methods: the mean rank over its columns, and delta-m against a baseline.

use crate::error::{MetricError, all_finite, same_length};
use crate::rounding::{Rounded, doubled_ranks};

/// Whether a larger or a smaller figure is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Such as an accuracy.
    Larger,
    /// Such as an error.
    Smaller,
}

impl Better {
    /// 1 if larger is better, -1 if smaller is.
    fn sign(self) -> f64 {
        match self {
            Self::Larger => 1.0,
            Self::Smaller => -1.0,
        }
    }
}

/// The mean rank of every method over the columns of a table, `[methods]`; 1 is the best possible.
///
/// A column has one figure per method, `[methods]`. In each column the best method has rank 1, and equal figures share the mean
/// of their ranks. Figures are equal if they differ by at most the sum of their rounding errors ([`ROUNDING`](crate::ROUNDING)).
/// A method that lacks a figure cannot be ranked: leave it out of all columns.
///
/// ```
/// # fn main() -> Result<(), mtcool_metrics::MetricError> {
/// use mtcool_metrics::{Better, mean_ranks};
/// // Three methods: accuracy in per cent, and mean absolute error.
/// let ranks = mean_ranks(&[(&[90.0, 92.0, 90.0], Better::Larger), (&[0.1, 0.2, 0.3], Better::Smaller)])?;
/// assert_eq!(ranks, [1.75, 1.5, 2.75]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If there is no column, if columns differ in length, or if a figure is not finite.
pub fn mean_ranks(columns: &[(&[f64], Better)]) -> Result<Vec<f64>, MetricError> {
    let Some((first, _)) = columns.first() else {
        return Err(MetricError::Count { what: "columns", got: 0, expected: "at least 1" });
    };
    let mut sums = vec![0usize; first.len()];
    for (figures, better) in columns {
        same_length("figures of a column", figures.len(), first.len())?;
        all_finite("figure", figures)?;
        // The best comes first: the largest where larger is better.
        let keys: Vec<Rounded> = figures.iter().map(|figure| Rounded::figure(-better.sign() * figure)).collect();
        sums.iter_mut().zip(doubled_ranks(&keys)).for_each(|(sum, rank)| *sum += rank);
    }
    Ok(sums.into_iter().map(|sum| sum as f64 / 2.0 / columns.len() as f64).collect())
}

/// One task's figure for a method and for the baseline that it is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaskFigure {
    /// The method's figure.
    pub method: f64,
    /// The baseline's figure, usually that of a network trained for this task alone.
    pub baseline: f64,
    /// Which is the better one.
    pub better: Better,
}

/// Delta-m in per cent: the mean over tasks of the method's relative improvement on the baseline (Maninis et al. 2019, Eq. 4).
///
/// `100 / T * sum_i (-1)^{s_i} (M_i - B_i) / B_i`, with `s_i = 1` where smaller is better and 0 otherwise. Positive means better
/// than the baseline. A task with several figures enters with their mean: compute its own delta-m first.
///
/// `None` if a baseline is 0, whatever the method's figure: no change is relative to 0, and without this task the mean would be
/// one over other tasks than the table's.
///
/// ```
/// # fn main() -> Result<(), mtcool_metrics::MetricError> {
/// use mtcool_metrics::{Better, TaskFigure, delta_m};
/// let accuracy = TaskFigure { method: 88.0, baseline: 80.0, better: Better::Larger };
/// let error = TaskFigure { method: 0.5, baseline: 0.4, better: Better::Smaller };
/// let delta = delta_m(&[accuracy, error])?.expect("no baseline is 0");
/// assert!((delta - (10.0 - 25.0) / 2.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If there is no task, if a figure is not finite, or if a baseline is negative: dividing by it would turn the sign around.
pub fn delta_m(tasks: &[TaskFigure]) -> Result<Option<f64>, MetricError> {
    if tasks.is_empty() {
        return Err(MetricError::Count { what: "tasks", got: 0, expected: "at least 1" });
    }
    all_finite("method's figure", &tasks.iter().map(|task| task.method).collect::<Vec<_>>())?;
    all_finite("baseline's figure", &tasks.iter().map(|task| task.baseline).collect::<Vec<_>>())?;
    if let Some(index) = tasks.iter().position(|task| task.baseline < 0.0) {
        let (value, expected) = (tasks[index].baseline, "0 or more, since changes are relative to it");
        return Err(MetricError::OutOfRange { what: "baseline's figure", index, value, expected });
    }
    if tasks.iter().any(|task| task.baseline == 0.0) {
        return Ok(None);
    }
    let change = |task: &TaskFigure| task.better.sign() * (task.method - task.baseline) / task.baseline;
    let mean = 100.0 * tasks.iter().map(change).sum::<f64>() / tasks.len() as f64;
    // A tiny baseline can take the quotient out of the range of a number.
    Ok(mean.is_finite().then_some(mean))
}
