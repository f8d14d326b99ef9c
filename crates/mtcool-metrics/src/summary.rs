//! Mean and standard deviation over seeds.

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
}
