//! Accuracy, AUROC and further metrics of one class per image.

use anyhow::Result;
use mtcool_metrics::{BinaryScores, ClassTable};

use super::{Scores, mean, slug};

/// The answers of a classification so far.
pub(in super::super) struct ClassMeasure {
    /// Names of the classes; of two, the second is the positive one.
    names: Vec<String>,
    targets: Vec<u32>,
    predicted: Vec<u32>,
    /// The probability of each class, `[N, K]`.
    probabilities: Vec<Vec<f64>>,
}

impl ClassMeasure {
    pub(in super::super) fn new(names: Vec<String>) -> Self {
        Self { names, targets: Vec::new(), predicted: Vec::new(), probabilities: Vec::new() }
    }

    /// Adds case number `index`, called `case`, with the predicted probability of each class.
    pub(in super::super) fn add(
        &mut self,
        (index, case): (u32, &str),
        probabilities: Vec<f64>,
        target: u32,
        scores: &mut Scores<'_>,
    ) {
        let predicted = (0..probabilities.len()).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
        let predicted = predicted.unwrap_or(0) as u32;
        match &probabilities[..] {
            [_, positive] => scores.case(case, "probability", *positive),
            several => {
                for (name, &probability) in self.names.iter().zip(several) {
                    scores.case(case, format!("probability_{}", slug(name)), probability);
                }
            }
        }
        scores.case(case, "correct", f64::from(u8::from(predicted == target)));
        scores.prediction(index, target, predicted);
        self.targets.push(target);
        self.predicted.push(predicted);
        self.probabilities.push(probabilities);
    }

    /// The metrics in per cent: those of two classes, or the means over the classes.
    ///
    /// # Errors
    /// If a probability is not finite.
    pub(in super::super) fn finish(&self, scores: &mut Scores<'_>) -> Result<()> {
        let table = ClassTable::new(&self.predicted, &self.targets, self.names.len())?;
        scores.measure("accuracy", 100.0 * table.accuracy());
        scores.measure("balanced_accuracy", 100.0 * table.balanced_accuracy());
        if let [_, _] = &self.names[..] {
            let decided = table.against_rest(1);
            let has = |target: u32| self.targets.contains(&target);
            scores.measure("auroc", 100.0 * self.auroc(1)?);
            scores.measure("sensitivity", if has(1) { 100.0 * decided.sensitivity() } else { f64::NAN });
            scores.measure("specificity", if has(0) { 100.0 * decided.specificity() } else { f64::NAN });
            scores.measure("f1", 100.0 * decided.f1());
            return Ok(());
        }
        let areas = (0..self.names.len()).map(|class| self.auroc(class)).collect::<Result<Vec<_>>>()?;
        for (name, area) in self.names.iter().zip(&areas) {
            scores.measure(format!("auroc_{}", slug(name)), 100.0 * area);
        }
        // A class that is absent from this part has no AUROC.
        scores.measure("auroc", 100.0 * mean(areas.into_iter().filter(|area| !area.is_nan())));
        scores.measure("macro_f1", 100.0 * table.macro_f1());
        Ok(())
    }

    /// AUROC of class `class` against the others.
    fn auroc(&self, class: usize) -> Result<f64> {
        let probabilities: Vec<f64> = self.probabilities.iter().map(|case| case[class]).collect();
        let labels: Vec<bool> = self.targets.iter().map(|&target| target as usize == class).collect();
        Ok(BinaryScores::new(&probabilities, &labels)?.auroc())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Evaluation;

    /// The metrics of cases with these probabilities and true classes.
    fn metrics(names: &[&str], cases: &[(&[f64], u32)]) -> Evaluation {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let (mut measure, mut evaluation) = (ClassMeasure::new(names), Evaluation::default());
        for (index, (probabilities, target)) in cases.iter().enumerate() {
            let mut scores = Scores::new("class", &mut evaluation);
            measure.add((index as u32, &format!("case{index}")), probabilities.to_vec(), *target, &mut scores);
        }
        measure.finish(&mut Scores::new("class", &mut evaluation)).unwrap();
        evaluation
    }

    fn value(evaluation: &Evaluation, metric: &str) -> Option<f64> {
        evaluation.measurements.iter().find(|measured| measured.metric == metric).map(|measured| measured.value)
    }

    #[test]
    fn two_classes_by_hand() {
        let cases: [(&[f64], u32); 4] = [(&[0.9, 0.1], 0), (&[0.4, 0.6], 0), (&[0.3, 0.7], 1), (&[0.55, 0.45], 1)];
        let evaluation = metrics(&["healthy", "ill"], &cases);
        // Of the four pairs, 0.45 lies below 0.6.
        for (metric, want) in
            [("auroc", 75.0), ("accuracy", 50.0), ("sensitivity", 50.0), ("specificity", 50.0), ("f1", 50.0)]
        {
            assert_eq!(value(&evaluation, metric), Some(want), "{metric}");
        }
        let probabilities: Vec<f64> =
            evaluation.scores.iter().filter(|score| score.metric == "probability").map(|score| score.value).collect();
        assert_eq!(probabilities, [0.1, 0.6, 0.7, 0.45]);
        assert_eq!(evaluation.predictions.iter().map(|p| p.predicted).collect::<Vec<_>>(), [0, 1, 1, 0]);
        let healthy = metrics(&["healthy", "ill"], &cases[..2]);
        assert_eq!([value(&healthy, "auroc"), value(&healthy, "sensitivity")], [None, None]);
        assert_eq!(value(&healthy, "specificity"), Some(50.0));
    }

    #[test]
    fn three_classes_by_hand() {
        let cases: [(&[f64], u32); 3] = [(&[0.8, 0.1, 0.1], 0), (&[0.2, 0.5, 0.3], 1), (&[0.5, 0.4, 0.1], 1)];
        let evaluation = metrics(&["a", "b", "c"], &cases);
        assert!((value(&evaluation, "accuracy").unwrap() - 200.0 / 3.0).abs() < 1e-9);
        assert_eq!(value(&evaluation, "balanced_accuracy"), Some(75.0));
        // Class c does not occur.
        assert_eq!(value(&evaluation, "auroc_c"), None);
        assert_eq!(value(&evaluation, "auroc_b"), Some(100.0));
        assert_eq!(value(&evaluation, "auroc"), Some(100.0));
    }
}
