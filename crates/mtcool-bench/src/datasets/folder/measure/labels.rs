//! Metrics of several properties per image, each of which may be unknown.

use anyhow::Result;
use mtcool_metrics::{BinaryScores, Confusion};

use super::{Scores, mean, slug};

/// The answers for each property so far.
pub(in super::super) struct LabelMeasure {
    names: Vec<String>,
    /// For each property, the predicted probabilities and the truth of the cases in which it is known.
    answers: Vec<(Vec<f64>, Vec<bool>)>,
}

impl LabelMeasure {
    pub(in super::super) fn new(names: Vec<String>) -> Self {
        let answers = vec![(Vec::new(), Vec::new()); names.len()];
        Self { names, answers }
    }

    /// Adds a case with the probability of each property and the truth, `None` where it is unknown.
    pub(in super::super) fn add(
        &mut self,
        case: &str,
        probabilities: &[f64],
        truth: &[Option<bool>],
        scores: &mut Scores<'_>,
    ) {
        let known = self.names.iter().zip(&mut self.answers).zip(probabilities.iter().zip(truth));
        for ((name, (all, labels)), (&probability, &truth)) in known {
            scores.case(case, format!("probability_{}", slug(name)), probability);
            if let Some(truth) = truth {
                scores.case(
                    case,
                    format!("correct_{}", slug(name)),
                    f64::from(u8::from((probability >= 0.5) == truth)),
                );
                all.push(probability);
                labels.push(truth);
            }
        }
    }

    /// AUROC, accuracy, balanced accuracy and F1 in per cent: of each property, and their means over the properties.
    ///
    /// # Errors
    /// If a probability is not finite.
    pub(in super::super) fn finish(&self, scores: &mut Scores<'_>) -> Result<()> {
        let mut all: [Vec<f64>; 4] = Default::default();
        let metrics = ["auroc", "accuracy", "balanced_accuracy", "f1"];
        for (name, (probabilities, labels)) in self.names.iter().zip(&self.answers) {
            let ranked = BinaryScores::new(probabilities, labels)?;
            let decided = ranked.at_threshold(0.5);
            let has_both = labels.contains(&true) && labels.contains(&false);
            let balanced = if has_both { Confusion::balanced_accuracy(&decided) } else { f64::NAN };
            let f1 = if labels.contains(&true) { decided.f1() } else { f64::NAN };
            for ((metric, value), all) in
                metrics.into_iter().zip([ranked.auroc(), decided.accuracy(), balanced, f1]).zip(&mut all)
            {
                scores.measure(format!("{metric}_{}", slug(name)), 100.0 * value);
                // A property without positives or negatives in this part has no such metric.
                all.extend(Some(100.0 * value).filter(|value| !value.is_nan()));
            }
        }
        for (metric, all) in metrics.into_iter().zip(all) {
            scores.measure(metric, mean(all));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Evaluation;

    #[test]
    fn unknown_properties_count_for_nothing() {
        let names = vec!["Oedema".to_owned(), "scar".to_owned()];
        let (mut measure, mut evaluation) = (LabelMeasure::new(names), Evaluation::default());
        let cases: [([f64; 2], [Option<bool>; 2]); 4] = [
            ([0.9, 0.2], [Some(true), Some(false)]),
            ([0.4, 0.9], [Some(false), None]),
            ([0.6, 0.4], [Some(false), Some(false)]),
            ([0.3, 0.1], [None, Some(false)]),
        ];
        for (index, (probabilities, truth)) in cases.iter().enumerate() {
            let mut scores = Scores::new("signs", &mut evaluation);
            measure.add(&format!("case{index}"), probabilities, truth, &mut scores);
        }
        measure.finish(&mut Scores::new("signs", &mut evaluation)).unwrap();
        let value = |metric: &str| evaluation.measurements.iter().find(|m| m.metric == metric).map(|m| m.value);
        assert_eq!(value("auroc_oedema"), Some(100.0));
        let close = |metric: &str, want: f64| assert!((value(metric).unwrap() - want).abs() < 1e-9, "{metric}");
        close("accuracy_oedema", 200.0 / 3.0);
        assert_eq!(value("balanced_accuracy_oedema"), Some(75.0));
        // No case has a scar, so that there is nothing to rank.
        assert_eq!([value("auroc_scar"), value("f1_scar")], [None, None]);
        assert_eq!(value("accuracy_scar"), Some(100.0));
        assert_eq!(value("auroc"), Some(100.0));
        close("accuracy", (200.0 / 3.0 + 100.0) / 2.0);
        let correct = evaluation.scores.iter().filter(|score| score.metric.starts_with("correct")).count();
        assert_eq!((correct, evaluation.scores.len()), (6, 14));
    }
}
