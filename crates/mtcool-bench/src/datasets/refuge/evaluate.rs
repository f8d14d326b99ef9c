//! The metrics of both tasks, computed per photograph as the challenge's evaluation kit defines them, and what shows whether the
//! classification is alive: the spread of its probabilities and its units that are never active.

use anyhow::{Context, Result};
use candle_core::{D, DType, Tensor};
use mtcool_core::{Parameters, Problem};
use mtcool_data::refuge::{FundusSamples, GLAUCOMA, SEGMENTATION};
use mtcool_data::{Refuge, SampleDraw, SharedDataset};
use mtcool_metrics::{
    BinaryScores, ClassMap, MaskCoding, Metric, Structure, Summary, cup_to_disc_error, cup_to_disc_ratio, dice,
    quantile,
};

use super::spec::TASKS;
use crate::suite::{CaseMap, CaseScore, Evaluation, MapSink, NonFinite, Prediction};

/// Number of photographs per forward pass.
pub(super) const BATCH: usize = 4;
/// The specificity at which the challenge reports the sensitivity.
const SPECIFICITY: f64 = 0.85;

/// The photographs on which metrics are computed.
#[derive(Clone, Copy)]
pub(super) enum Photographs<'a> {
    /// The validation split. The threshold of the classification is chosen on the same photographs, so that its sensitivity and
    /// specificity are optimistic here.
    Validation(&'a FundusSamples),
    /// The test split. The threshold is chosen on the validation split, which is evaluated once more for this purpose.
    Test {
        /// The photographs themselves.
        test: &'a FundusSamples,
        /// The photographs on which the threshold is chosen.
        validation: &'a FundusSamples,
    },
}

/// Computes all metrics on `photographs`.
pub(super) fn evaluate(
    refuge: &Refuge,
    photographs: Photographs<'_>,
    problem: &Problem,
    parameters: &Parameters,
    maps: Option<&mut MapSink<'_>>,
) -> Result<Evaluation> {
    let gather = |samples, maps| Gathered::of(refuge, samples, problem, parameters, maps);
    match photographs {
        Photographs::Validation(samples) => {
            let gathered = gather(samples, maps)?;
            let threshold = gathered.ranked()?.balanced_threshold();
            gathered.into_evaluation(threshold)
        }
        Photographs::Test { test, validation } => {
            let threshold = gather(validation, None)?.ranked()?.balanced_threshold();
            gather(test, maps)?.into_evaluation(threshold)
        }
    }
}

/// The results of the photographs so far.
#[derive(Default)]
struct Gathered {
    scores: Vec<CaseScore>,
    predictions: Vec<Prediction>,
    losses: [f64; 2],
    dice: [Vec<f64>; 2],
    ratios: [Vec<f64>; 2],
    probabilities: Vec<f64>,
    labels: Vec<bool>,
    /// For each hidden unit of the classification, whether any photograph activates it; empty if the network does not report its units.
    active: Vec<bool>,
}

/// The softmax of two logits: the probability of class 1.
pub(super) fn probability_of_glaucoma(logits: &[f64]) -> f64 {
    1.0 / (1.0 + (logits[0] - logits[1]).exp())
}

/// The most probable class of each pixel: from logits `[B, K, H, W]` to B lists of length `H * W`.
pub(super) fn argmax(logits: &Tensor) -> Result<Vec<Vec<u8>>> {
    let classes = logits.argmax(1)?.to_dtype(DType::U8)?;
    Ok(classes.flatten(1, D::Minus1)?.to_vec2::<u8>()?)
}

impl Gathered {
    /// The results of all photographs of `samples`.
    fn of(
        refuge: &Refuge,
        samples: &FundusSamples,
        problem: &Problem,
        parameters: &Parameters,
        mut maps: Option<&mut MapSink<'_>>,
    ) -> Result<Self> {
        let mut gathered = Self::default();
        let indices: Vec<u32> = (0..samples.len() as u32).collect();
        for indices in indices.chunks(BATCH) {
            let draws: Vec<SampleDraw> = indices.iter().map(|&index| SampleDraw::plain(index)).collect();
            let batch = samples.read(&draws)?;
            let outputs = problem.network().forward_all(parameters, &[&batch.inputs, &batch.inputs])?;
            for (task, (output, target)) in outputs.iter().zip(&batch.targets).enumerate() {
                let loss = problem.loss(task, output, target)?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
                // The loss is checked, since the class with the largest logit exists even if logits are not finite.
                gathered.losses[task] += NonFinite::check(TASKS[task], "loss", loss)? * indices.len() as f64;
            }
            if let Some(units) = problem.network().hidden_units(parameters, GLAUCOMA, &batch.inputs)? {
                gathered.add_units(&units.to_dtype(DType::F64)?.to_vec2()?);
            }
            let classes = argmax(&outputs[SEGMENTATION])?;
            let logits = outputs[GLAUCOMA].to_dtype(DType::F64)?.to_vec2::<f64>()?;
            for ((&index, classes), logits) in indices.iter().zip(classes).zip(logits) {
                let case = samples.case(index).context("a sample without a case")? as usize;
                let probability = probability_of_glaucoma(&logits);
                let probability = NonFinite::check(TASKS[GLAUCOMA], "predicted probability", probability)?;
                gathered.add(refuge, case, &classes, probability)?;
                if let Some(maps) = maps.as_mut() {
                    let (name, side) = (refuge.cases()[case].name.clone(), refuge.side());
                    maps(CaseMap { task: TASKS[SEGMENTATION].into(), case: name, height: side, width: side, classes })?;
                }
            }
        }
        Ok(gathered)
    }

    /// Adds the activity of all hidden units for some photographs.
    fn add_units(&mut self, photographs: &[Vec<f64>]) {
        for units in photographs {
            self.active.resize(units.len(), false);
            self.active.iter_mut().zip(units).for_each(|(active, &unit)| *active |= unit > 0.0);
        }
    }

    fn add(&mut self, refuge: &Refuge, case: usize, classes: &[u8], probability: f64) -> Result<()> {
        let (truth, side, known) = (refuge.classes(case), refuge.side(), &refuge.cases()[case]);
        let structures = [(Structure::Cup, Metric::DiceCup), (Structure::Disc, Metric::DiceDisc)];
        for ((structure, metric), all) in structures.into_iter().zip(&mut self.dice) {
            let positive = structure.classes(MaskCoding::Indices);
            let value = 100.0 * dice(ClassMap { classes, positive }, ClassMap { classes: &truth, positive })?;
            all.push(value);
            let case = known.name.clone();
            self.scores.push(CaseScore { task: TASKS[SEGMENTATION].into(), case, metric: metric.name().into(), value });
        }
        for (mask, ratios) in [classes, &truth].into_iter().zip(&mut self.ratios) {
            ratios.push(cup_to_disc_ratio(mask, side, MaskCoding::Indices)?);
        }
        self.probabilities.push(probability);
        self.labels.push(known.glaucoma);
        let (target, predicted) = (u32::from(known.glaucoma), u32::from(probability >= 0.5));
        self.predictions.push(Prediction { task: TASKS[GLAUCOMA].into(), index: case as u32, target, predicted });
        self.scores.push(CaseScore {
            task: TASKS[GLAUCOMA].into(),
            case: known.name.clone(),
            metric: "probability".into(),
            value: probability,
        });
        Ok(())
    }

    /// The probabilities of glaucoma with the true diagnoses.
    fn ranked(&self) -> Result<BinaryScores> {
        Ok(BinaryScores::new(&self.probabilities, &self.labels)?)
    }

    /// All metrics; `threshold` is the probability from which a photograph counts as glaucoma, beside 0.5.
    fn into_evaluation(self, threshold: f64) -> Result<Evaluation> {
        let scores = self.ranked()?;
        let count = self.labels.len() as f64;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let mut evaluation = Evaluation { predictions: self.predictions, scores: self.scores, ..Evaluation::default() };
        let mut measure =
            |task: usize, metric: &'static str, value: f64| evaluation.measure(TASKS[task], metric, value);
        measure(SEGMENTATION, "loss", self.losses[SEGMENTATION] / count);
        measure(SEGMENTATION, Metric::DiceCup.name(), mean(&self.dice[0]));
        measure(SEGMENTATION, Metric::DiceDisc.name(), mean(&self.dice[1]));
        let error = cup_to_disc_error(&self.ratios[0], &self.ratios[1])?;
        measure(SEGMENTATION, Metric::CupToDiscError.name(), error);
        // How well the predicted map alone tells the diagnoses apart.
        measure(SEGMENTATION, "auroc_cdr", 100.0 * BinaryScores::new(&self.ratios[0], &self.labels)?.auroc());
        measure(GLAUCOMA, "loss", self.losses[GLAUCOMA] / count);
        for (metric, value) in diagnosis(&scores) {
            measure(GLAUCOMA, metric.name(), 100.0 * value);
        }
        // Without a threshold, because a class is absent from the validation split, there are no decisions.
        let chosen = scores.at_threshold(threshold);
        let or_nan = |value: f64| if threshold.is_nan() { f64::NAN } else { 100.0 * value };
        measure(GLAUCOMA, "validation_threshold", threshold);
        measure(GLAUCOMA, "sensitivity_at_validation_threshold", or_nan(chosen.sensitivity()));
        measure(GLAUCOMA, "specificity_at_validation_threshold", or_nan(chosen.specificity()));
        measure(GLAUCOMA, "probability_low", quantile(&self.probabilities, 0.05));
        measure(GLAUCOMA, "probability_high", quantile(&self.probabilities, 0.95));
        let deviation = Summary::of(&self.probabilities).and_then(|summary| summary.std);
        measure(GLAUCOMA, "probability_deviation", deviation.unwrap_or(0.0));
        if !self.active.is_empty() {
            let silent = self.active.iter().filter(|is_active| !**is_active).count();
            measure(GLAUCOMA, "silent_units", 100.0 * silent as f64 / self.active.len() as f64);
        }
        Ok(evaluation)
    }
}

/// The metrics of the diagnosis, as fractions; decisions at the probability 0.5.
pub(super) fn diagnosis(scores: &BinaryScores) -> [(Metric, f64); 5] {
    let decided = scores.at_threshold(0.5);
    [
        (Metric::Accuracy, decided.accuracy()),
        (Metric::Auroc, scores.auroc()),
        (Metric::Sensitivity, decided.sensitivity()),
        (Metric::Specificity, decided.specificity()),
        (Metric::SensitivityAtSpecificity85, scores.sensitivity_at_specificity(SPECIFICITY)),
    ]
}
