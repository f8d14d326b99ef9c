//! Counts of predicted against true classes, and the ratios that follow from them.

use crate::confusion::Confusion;
use crate::error::{MetricError, same_length};

/// How often each class was predicted for each true class.
///
/// With K classes, class k against all others gives a [`Confusion`]: see [`ClassTable::against_rest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassTable {
    /// `[K, K]`, row by true class.
    counts: Vec<Vec<u64>>,
}

impl ClassTable {
    /// Counts `predicted` `[N]` against `target` `[N]`, classes of `0..classes`.
    ///
    /// # Errors
    /// If the lengths differ or a class is out of range.
    pub fn new(predicted: &[u32], target: &[u32], classes: usize) -> Result<Self, MetricError> {
        same_length("predicted classes", predicted.len(), target.len())?;
        let mut counts = vec![vec![0; classes]; classes];
        for (index, (&predicted, &target)) in predicted.iter().zip(target).enumerate() {
            let wrong = predicted.max(target);
            let Some(count) = counts.get_mut(target as usize).and_then(|row| row.get_mut(predicted as usize)) else {
                let expected = "a class below the number of classes";
                return Err(MetricError::OutOfRange { what: "class", index, value: wrong.into(), expected });
            };
            *count += 1;
        }
        Ok(Self { counts })
    }

    /// Class `class` against all other classes.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn against_rest(&self, class: usize) -> Confusion {
        let true_positives = self.counts[class][class];
        let targets: u64 = self.counts[class].iter().sum();
        let predicted: u64 = self.counts.iter().map(|row| row[class]).sum();
        let total: u64 = self.counts.iter().flatten().sum();
        Confusion {
            true_positives,
            false_positives: predicted - true_positives,
            false_negatives: targets - true_positives,
            true_negatives: total + true_positives - predicted - targets,
        }
    }

    /// Share of right answers; NaN without any.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.counts.len()).map(|class| self.counts[class][class]).sum();
        right as f64 / self.counts.iter().flatten().sum::<u64>() as f64
    }

    /// Mean over the classes that occur of the share of their right answers; NaN without any answer. With two classes it is the
    /// mean of sensitivity and specificity.
    pub fn balanced_accuracy(&self) -> f64 {
        self.mean_over_present(Confusion::sensitivity)
    }

    /// Mean of F1 over the classes that occur; NaN without any answer.
    pub fn macro_f1(&self) -> f64 {
        self.mean_over_present(Confusion::f1)
    }

    fn mean_over_present(&self, figure: fn(&Confusion) -> f64) -> f64 {
        let is_present = |class: &usize| self.counts[*class].iter().sum::<u64>() > 0;
        let present: Vec<usize> = (0..self.counts.len()).filter(is_present).collect();
        present.iter().map(|&class| figure(&self.against_rest(class))).sum::<f64>() / present.len() as f64
    }
}
