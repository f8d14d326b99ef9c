//! Errors and correlation of a number per image, in the number's own unit.

use anyhow::Result;
use mtcool_metrics::Regression;

use super::Scores;

/// Mean and standard deviation of a number among the training labels, by which its targets are standardised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Standardisation {
    pub(in super::super) mean: f64,
    pub(in super::super) std: f64,
}

impl Standardisation {
    /// The number in its own unit for an output of the network.
    pub(in super::super) fn number(self, output: f64) -> f64 {
        self.mean + self.std * output
    }
}

/// The predicted and the true numbers so far.
#[derive(Default)]
pub(in super::super) struct NumberMeasure {
    predicted: Vec<f64>,
    targets: Vec<f64>,
}

impl NumberMeasure {
    /// Adds a case, with numbers in their own unit.
    pub(in super::super) fn add(&mut self, case: &str, predicted: f64, target: f64, scores: &mut Scores<'_>) {
        scores.case(case, "predicted", predicted);
        scores.case(case, "absolute_error", (predicted - target).abs());
        self.predicted.push(predicted);
        self.targets.push(target);
    }

    /// Mean absolute error, coefficient of determination and correlation.
    ///
    /// # Errors
    /// If a prediction is not finite.
    pub(in super::super) fn finish(&self, scores: &mut Scores<'_>) -> Result<()> {
        let numbers = Regression::new(&self.predicted, &self.targets)?;
        scores.measure("mae", numbers.mean_absolute_error());
        scores.measure("r2", numbers.r_squared());
        scores.measure("pearson", numbers.pearson());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Evaluation;

    #[test]
    fn numbers_are_measured_in_their_own_unit() {
        let standard = Standardisation { mean: 50.0, std: 10.0 };
        let (mut measure, mut evaluation) = (NumberMeasure::default(), Evaluation::default());
        for (index, (output, target)) in [(-1.0, 41.0), (0.0, 50.0), (1.5, 61.0)].into_iter().enumerate() {
            let mut scores = Scores::new("age", &mut evaluation);
            measure.add(&format!("case{index}"), standard.number(output), target, &mut scores);
        }
        measure.finish(&mut Scores::new("age", &mut evaluation)).unwrap();
        let value = |metric: &str| evaluation.measurements.iter().find(|m| m.metric == metric).unwrap().value;
        assert!((value("mae") - 5.0 / 3.0).abs() < 1e-12);
        assert!(value("r2") > 0.9 && value("pearson") > 0.99);
        let errors: Vec<f64> = evaluation
            .scores
            .iter()
            .filter(|score| score.metric == "absolute_error")
            .map(|score| score.value)
            .collect();
        assert_eq!(errors, [1.0, 0.0, 4.0]);
    }
}
