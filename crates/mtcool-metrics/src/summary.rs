//! Mean, standard deviation and quantiles of a list of numbers.

/// Mean and standard deviation of one figure over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Mean over the runs.
    pub mean: f64,
    /// Sample standard deviation (divisor n - 1); `None` for a single run.
    pub std: Option<f64>,
    /// Number of runs.
    pub count: usize,
}

impl Summary {
    /// The summary of `values`, one per run; `None` without any value.
    pub fn of(values: &[f64]) -> Option<Self> {
        let (count, n) = (values.len(), values.len() as f64);
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        (count > 0).then(|| Self { mean, std: (count > 1).then(|| (squares / (n - 1.0)).sqrt()), count })
    }
}

/// The `share` quantile of `values`, `share` in 0..=1, by linear interpolation between neighbours (the usual definition in NumPy). NaN
/// without any value.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    if sorted.is_empty() { f64::NAN } else { quantile_of_sorted(&sorted, share) }
}

/// The `share` quantile of `sorted`, which has at least one value, linear between its two neighbours.
pub(crate) fn quantile_of_sorted(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let (below, part) = (position.floor() as usize, position.fract());
    let (low, high) = (sorted[below], sorted[(below + 1).min(sorted.len() - 1)]);
    // The difference of two large numbers could overflow, and equal numbers have to stay what they are.
    if low == high { low } else { (1.0 - part) * low + part * high }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_that_of_a_sample() {
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[3.0]), Some(Summary { mean: 3.0, std: None, count: 1 }));
        let summary = Summary::of(&[2.0, 4.0, 4.0, 6.0]).unwrap();
        assert_eq!((summary.mean, summary.count), (4.0, 4));
        assert!((summary.std.unwrap() - (8.0f64 / 3.0).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!([0.0, 0.05, 0.5, 1.0].map(|share| quantile(&values, share)), [1.0, 1.15, 2.5, 4.0]);
        assert_eq!(quantile(&[7.0], 0.3), 7.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
