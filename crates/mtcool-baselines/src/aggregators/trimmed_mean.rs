//! Trimmed mean: per coordinate, the mean of the gradients without the largest and the smallest ones.

use candle_core::{Result as TensorResult, Tensor};
use mtcool_core::{Aggregator, Combination, Convention, Error, Gradients, Jacobian, Result};

/// Coordinate-wise trimmed mean (Yin et al. 2018, *Byzantine-robust distributed learning: towards optimal statistical rates*).
///
/// `d_k` = the mean of `g_1k, ..., g_Tk` without the `trim_number` largest and the `trim_number` smallest of them; with the largest
/// possible number, the median of an odd number of tasks.
///
/// It was made for workers of which some send arbitrary vectors; here the workers are tasks. It promises nothing to a task whose
/// coordinates are often extreme.
///
/// Cost of a step: one backward pass per task, and `T (T - 1)` passes over a gradient, which sort the coordinates.
#[derive(Clone, Copy, Debug)]
pub struct TrimmedMean {
    trim_number: usize,
}

impl TrimmedMean {
    /// It needs at least `2 trim_number + 1` tasks.
    pub fn new(trim_number: usize) -> Self {
        Self { trim_number }
    }

    /// Checks that it is defined for `tasks` tasks.
    ///
    /// # Errors
    /// If there are fewer than `2 trim_number + 1`.
    pub fn check(self, tasks: usize) -> Result<()> {
        let least = 2 * self.trim_number + 1;
        if tasks >= least {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: "trimmed mean, with trim_number = b".into(),
            expected: format!("at least 2 b + 1 tasks, here {least}"),
            got: format!("{tasks}; lower `trim_number`"),
        })
    }

    /// The trimmed mean of tensors of one shape.
    fn of(self, mut values: Vec<Tensor>) -> TensorResult<Tensor> {
        let tasks = values.len();
        // Each round moves the largest of the rest to the end, coordinate by coordinate. That works on any device.
        for end in (1..tasks).rev() {
            for at in 0..end {
                let (low, high) = (values[at].minimum(&values[at + 1])?, values[at].maximum(&values[at + 1])?);
                (values[at], values[at + 1]) = (low, high);
            }
        }
        let kept = &values[self.trim_number..tasks - self.trim_number];
        let mut sum = kept[0].clone();
        for value in &kept[1..] {
            sum = (sum + value)?;
        }
        sum * (1.0 / kept.len() as f64)
    }
}

impl Aggregator for TrimmedMean {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        self.check(jacobian.tasks())?;
        let mut direction = Gradients::new();
        for name in jacobian.names() {
            let Some(known) = jacobian.rows().iter().find_map(|row| row.get(name)) else { continue };
            let zero = known.zeros_like()?;
            let values = jacobian.rows().iter().map(|row| row.get(name).unwrap_or(&zero).clone()).collect();
            direction.insert(name.clone(), self.of(values)?);
        }
        Ok(Combination::Direction(direction))
    }

    /// A mean of gradients.
    fn convention(&self) -> Convention {
        Convention::Mean
    }
}
