//! Means over an epoch of the diagnostics of its steps: task weights, gradient norms, cosines and conflicts, and the shares of theta
//! that a clamp moved.

use std::borrow::Cow;

use mtcool_core::{ClampedLayer, Diagnostics};
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
    /// One entry per layer of each task's theta, in the order in which a step reported them first; checkpoints of earlier versions
    /// have none.
    #[serde(default)]
    clamped: Vec<Clamped>,
}

/// How many elements of a layer were clamped in an epoch, and how many of them the clamp moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Clamped {
    task: usize,
    layer: String,
    moved: u64,
    elements: u64,
}

/// The metric of the share of a task's theta that the clamp moved in an update, from 0 to 1. The metric of a single layer has the name
/// of the layer behind a full stop, such as `clamped_share.conv1`.
pub const CLAMPED_SHARE: &str = "clamped_share";

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
        for layer in diagnostics.clamped.iter().flatten() {
            self.add_clamped(layer);
        }
    }

    fn add_clamped(&mut self, of: &ClampedLayer) {
        let ClampedLayer { task, layer, moved, elements } = of;
        match self.clamped.iter_mut().find(|known| known.task == *task && known.layer == *layer) {
            Some(known) => {
                known.moved += moved;
                known.elements += elements;
            }
            None => {
                let (task, layer) = (*task, layer.clone());
                self.clamped.push(Clamped { task, layer, moved: *moved, elements: *elements });
            }
        }
    }

    /// Rows (task or pair of tasks, metric, mean).
    pub fn rows(&self, tasks: &[&str]) -> Vec<(String, Cow<'static, str>, f64)> {
        let single = tasks.iter().map(|task| (*task).to_owned());
        let pair: Vec<String> = pairs(tasks.len()).map(|(i, j)| format!("{}/{}", tasks[i], tasks[j])).collect();
        let named = |names: Vec<String>, metric: &'static str, means: &[Mean]| {
            let means: Vec<_> = means.iter().map(|mean| mean.value()).collect();
            names.into_iter().zip(means).filter_map(move |(name, mean)| Some((name, Cow::Borrowed(metric), mean?)))
        };
        named(single.clone().collect(), "weight", &self.weights)
            .chain(named(single.collect(), "gradient_norm", &self.norms))
            .chain(named(pair.clone(), "gradient_cosine", &self.cosines))
            .chain(named(pair, "gradient_conflict_rate", &self.conflicts))
            .chain(self.clamped_rows(tasks))
            .collect()
    }

    /// For each task, the share of its whole theta, then of each layer.
    fn clamped_rows(&self, tasks: &[&str]) -> Vec<(String, Cow<'static, str>, f64)> {
        let share = |moved: u64, elements: u64| moved as f64 / elements.max(1) as f64;
        let mut rows = Vec::new();
        for (task, name) in tasks.iter().enumerate() {
            let layers: Vec<&Clamped> = self.clamped.iter().filter(|layer| layer.task == task).collect();
            if layers.is_empty() {
                continue;
            }
            let sum = |pick: fn(&Clamped) -> u64| layers.iter().map(|layer| pick(layer)).sum::<u64>();
            let whole = share(sum(|layer| layer.moved), sum(|layer| layer.elements));
            rows.push(((*name).to_owned(), Cow::Borrowed(CLAMPED_SHARE), whole));
            rows.extend(layers.iter().map(|layer| {
                let metric = Cow::Owned(format!("{CLAMPED_SHARE}.{}", layer.layer));
                ((*name).to_owned(), metric, share(layer.moved, layer.elements))
            }));
        }
        rows
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
            clamped: None,
        };
        sums.add(&told(0.0, 1.0));
        sums.add(&told(1.0, -2.0));
        sums.add(&Diagnostics { weights: Some(vec![f64::NAN, 1.0, 2.0]), ..Diagnostics::NONE });
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

    #[test]
    fn clamped_shares_are_those_of_all_updates_of_the_epoch() {
        let mut sums = DiagnosticSums::default();
        let mut step = |layers: &[(usize, &str, u64, u64)]| {
            let layer = |&(task, layer, moved, elements): &(usize, &str, u64, u64)| ClampedLayer {
                task,
                layer: layer.to_owned(),
                moved,
                elements,
            };
            sums.add(&Diagnostics { clamped: Some(layers.iter().map(layer).collect()), ..Diagnostics::NONE });
        };
        step(&[(1, "conv1", 5, 10), (1, "fc", 0, 90)]);
        step(&[(1, "conv1", 0, 10), (1, "fc", 45, 90)]);
        sums.add(&Diagnostics::NONE);
        let told: Vec<(String, String, f64)> = sums
            .rows(&["a", "b"])
            .into_iter()
            .map(|(task, metric, value)| (task, metric.into_owned(), value))
            .collect();
        let row = |metric: &str, value| ("b".to_owned(), metric.to_owned(), value);
        let expected = [row("clamped_share", 0.25), row("clamped_share.conv1", 0.25), row("clamped_share.fc", 0.25)];
        assert_eq!(told, expected, "task a has no clamp");
        let of_earlier = r#"{"weights": [], "norms": [], "cosines": [], "conflicts": []}"#;
        assert_eq!(serde_json::from_str::<DiagnosticSums>(of_earlier).unwrap(), DiagnosticSums::default());
    }
}
