//! The metrics of both tasks, computed per photograph as the challenge's evaluation kit defines them.

use anyhow::{Context, Result};
use candle_core::{D, DType, Tensor};
use mtcool_core::{Parameters, Problem};
use mtcool_data::refuge::{FundusSamples, GLAUCOMA, SEGMENTATION};
use mtcool_data::{Refuge, SampleDraw, SharedDataset};
use mtcool_metrics::{
    BinaryScores, ClassMap, MaskCoding, Metric, Structure, cup_to_disc_error, cup_to_disc_ratio, dice,
};

use super::spec::TASKS;
use crate::suite::{CaseMap, CaseScore, Evaluation, MapSink, NonFinite, Prediction};

/// Number of photographs per forward pass.
const BATCH: usize = 4;
/// The specificity at which the challenge reports the sensitivity.
const SPECIFICITY: f64 = 0.85;

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
}

/// Computes all metrics on `samples`.
pub(super) fn evaluate(
    refuge: &Refuge,
    samples: &FundusSamples,
    problem: &Problem,
    parameters: &Parameters,
    mut maps: Option<&mut MapSink<'_>>,
) -> Result<Evaluation> {
    let mut gathered = Gathered::default();
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
    gathered.into_evaluation()
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

    fn into_evaluation(self) -> Result<Evaluation> {
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
        measure(GLAUCOMA, "loss", self.losses[GLAUCOMA] / count);
        let scores = BinaryScores::new(&self.probabilities, &self.labels)?;
        let decided = scores.at_threshold(0.5);
        for (metric, value) in [
            (Metric::Accuracy, decided.accuracy()),
            (Metric::Auroc, scores.auroc()),
            (Metric::Sensitivity, decided.sensitivity()),
            (Metric::Specificity, decided.specificity()),
            (Metric::SensitivityAtSpecificity85, scores.sensitivity_at_specificity(SPECIFICITY)),
        ] {
            measure(GLAUCOMA, metric.name(), 100.0 * value);
        }
        Ok(evaluation)
    }
}
