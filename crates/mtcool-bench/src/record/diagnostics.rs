//! Means over an epoch of the diagnostics of its steps: task weights, gradient norms, cosines and conflicts.

use mtcool_core::Diagnostics;
use serde::{Deserialize, Serialize};

/// The sums for the means of an epoch; part of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DiagnosticSums {
    /// One entry per task.
    weights: Vec<Mean>,
    /// One entry per task.
    norms: Vec<Mean>,
    /// One entry per pair of tasks (i, j) with j > i, sorted by i, then by j.
    cosines: Vec<Mean>,
    /// One entry per pair of tasks: the mean of 1 for a negative cosine and 0 for any other one.
    conflicts: Vec<Mean>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    /// Adds `value` to the mean at index `at`. A value that is not finite is left out, since the run is about to fail with its
    /// own error message.
    fn add(list: &mut Vec<Self>, at: usize, value: f64) {
        if list.len() <= at {
            list.resize(at + 1, Self::default());
        }
        if value.is_finite() {
            list[at].sum += value;
            list[at].count += 1;
        }
    }

    fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

impl DiagnosticSums {
    /// Adds the diagnostics of one step.
    pub fn add(&mut self, diagnostics: &Diagnostics) {
        for (task, &weight) in diagnostics.weights.iter().flatten().enumerate() {
            Mean::add(&mut self.weights, task, weight);
        }
        let norms = diagnostics.lengths().unwrap_or_default();
        for (task, &norm) in norms.iter().enumerate() {
            Mean::add(&mut self.norms, task, norm);
        }
        for (i, j, cosine) in diagnostics.cosines() {
            let at = pairs(norms.len()).take_while(|pair| *pair != (i, j)).count();
            Mean::add(&mut self.cosines, at, cosine);
            Mean::add(&mut self.conflicts, at, f64::from(u8::from(cosine < 0.0)));
        }
    }

    /// Rows (task or pair of tasks, metric, mean).
    pub fn rows(&self, tasks: &[&str]) -> Vec<(String, &'static str, f64)> {
        let single = tasks.iter().map(|task| (*task).to_owned());
        let pair: Vec<String> = pairs(tasks.len()).map(|(i, j)| format!("{}/{}", tasks[i], tasks[j])).collect();
        let named = |names: Vec<String>, metric: &'static str, means: &[Mean]| {
            let means: Vec<_> = means.iter().map(|mean| mean.value()).collect();
            names.into_iter().zip(means).filter_map(move |(name, mean)| Some((name, metric, mean?)))
        };
        named(single.clone().collect(), "weight", &self.weights)
            .chain(named(single.collect(), "gradient_norm", &self.norms))
            .chain(named(pair.clone(), "gradient_cosine", &self.cosines))
            .chain(named(pair, "gradient_conflict_rate", &self.conflicts))
            .collect()
    }
}

fn pairs(tasks: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..tasks).flat_map(move |i| (i + 1..tasks).map(move |j| (i, j)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_means_of_what_was_told() {
        let mut sums = DiagnosticSums::default();
        let told = |weight: f64, product: f64| Diagnostics {
            weights: Some(vec![weight, 1.0, 2.0]),
            gramian: Some(vec![vec![4.0, product, 0.0], vec![product, 1.0, 0.0], vec![0.0, 0.0, 0.0]]),
        };
        sums.add(&told(0.0, 1.0));
        sums.add(&told(1.0, -2.0));
        sums.add(&Diagnostics { weights: Some(vec![f64::NAN, 1.0, 2.0]), gramian: None });
        let rows = sums.rows(&["a", "b", "c"]);
        let find = |name: &str, metric: &str| rows.iter().find(|row| row.0 == name && row.1 == metric).map(|row| row.2);
        assert_eq!(find("a", "weight"), Some(0.5));
        assert_eq!(find("c", "weight"), Some(2.0));
        assert_eq!(find("a", "gradient_norm"), Some(2.0));
        assert_eq!(find("c", "gradient_norm"), Some(0.0));
        assert_eq!(find("a/b", "gradient_cosine"), Some(-0.25));
        assert_eq!(find("a/b", "gradient_conflict_rate"), Some(0.5));
        assert_eq!(find("b/c", "gradient_cosine"), None, "a zero gradient has no direction");
        assert!(DiagnosticSums::default().rows(&["a", "b"]).is_empty());
    }
}
