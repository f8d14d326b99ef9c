//! The metrics of all tasks on one part of a folder, case by case.

use anyhow::{Context, Result};
use candle_core::{D, DType, Tensor};
use mtcool_core::{Network, Parameters, Problem};
use mtcool_data::folder::{Fit, Folder, FolderSamples, FolderTask, Label, Part, TaskKind};
use mtcool_data::{SampleDraw, SharedDataset};

use super::batches::Group;
use super::forward::forward;
use super::measure::{ClassMeasure, LabelMeasure, NumberMeasure, Pixels, Scores, SegmentationMeasure, Standardisation};
use super::spec::structures;
use super::tiles::{tiled, tiling};
use crate::suite::{CaseMap, Evaluation, MapSink, NonFinite};

/// Number of cases per forward pass.
pub(super) const BATCH: usize = 8;

/// The network that is measured.
#[derive(Clone, Copy)]
pub(super) struct Measured<'a> {
    pub(super) network: &'a dyn Network,
    pub(super) parameters: &'a Parameters,
    /// The losses of the tasks, if they are measured, too.
    pub(super) losses: Option<&'a Problem>,
}

/// Computes all metrics on `part`.
///
/// # Errors
/// [`NonFinite`] if an output is not finite; any other error if a forward pass fails.
pub(super) fn evaluate(
    folder: &Folder,
    part: Part,
    measured: Measured<'_>,
    mut maps: Option<&mut MapSink<'_>>,
) -> Result<Evaluation> {
    let Measured { network, parameters, losses } = measured;
    let mut evaluation = Evaluation::default();
    let mut measures: Vec<TaskMeasure> = folder.tasks().iter().map(TaskMeasure::new).collect();
    for group in Group::all(folder) {
        let cases = group.cases(folder, part);
        let samples = FolderSamples::evaluation(folder, &group.tasks, &cases)?;
        // Whole pictures have different sizes, and cannot be in one batch.
        let tiling = (group.fit(folder) == Fit::Patches).then(|| tiling(folder.config()));
        let at_once = if tiling.is_some() { 1 } else { BATCH };
        for indices in (0..cases.len() as u32).collect::<Vec<_>>().chunks(at_once) {
            let draws: Vec<SampleDraw> = indices.iter().map(|&index| SampleDraw::plain(index)).collect();
            let batch = samples.read(&draws)?;
            let outputs = match tiling {
                Some(tiling) => tiled(network, parameters, &group.tasks, (&batch.inputs, tiling))?,
                None => forward(network, parameters, &group.tasks, &batch.inputs)?,
            };
            for ((&task, output), target) in group.tasks.iter().zip(&outputs).zip(&batch.targets) {
                let labelled: Vec<(usize, u32)> = indices
                    .iter()
                    .enumerate()
                    .map(|(place, &index)| (place, cases[index as usize]))
                    .filter(|&(_, case)| folder.label(task, case as usize).is_some())
                    .collect();
                if labelled.is_empty() {
                    continue;
                }
                let name = &folder.tasks()[task].name;
                // The class with the largest logit exists even if logits are not finite.
                match losses {
                    Some(problem) => {
                        let loss = problem.loss(task, output, target)?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
                        NonFinite::check(name.clone(), "loss", loss)?;
                        measures[task].loss += loss * labelled.len() as f64;
                    }
                    None => {
                        let sum = output.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?;
                        NonFinite::check(name.clone(), "sum of all outputs", sum)?;
                    }
                }
                measures[task].count += labelled.len();
                let answers = Answers::of(&folder.tasks()[task], output)?;
                let mut scores = Scores::new(name, &mut evaluation);
                for (place, case) in labelled {
                    measures[task].add(folder, (task, case), &answers, place, &mut scores)?;
                    if let (Some(maps), Answers::Map { classes, size: [height, width] }) = (maps.as_mut(), &answers) {
                        let (task, case) = (name.clone().into(), folder.cases()[case as usize].name.clone());
                        maps(CaseMap { task, case, height: *height, width: *width, classes: classes[place].clone() })?;
                    }
                }
            }
        }
    }
    for (measure, task) in measures.iter().zip(folder.tasks()) {
        let mut scores = Scores::new(&task.name, &mut evaluation);
        if measure.count > 0 {
            if losses.is_some() {
                scores.measure("loss", measure.loss / measure.count as f64);
            }
            measure.finish(&mut scores)?;
        }
    }
    Ok(evaluation)
}

/// The answers of a network for some cases, in plain numbers.
pub(super) enum Answers {
    /// The most probable class of each pixel, for each case.
    Map {
        /// `[B][H * W]`.
        classes: Vec<Vec<u8>>,
        /// H and W.
        size: [usize; 2],
    },
    /// The probability of each class, or of each property, `[B][K]`.
    Probabilities(Vec<Vec<f64>>),
    /// A number in its own unit, `[B]`.
    Numbers(Vec<f64>),
}

impl Answers {
    /// The answers for the outputs `[B, ...]` of `task`.
    ///
    /// # Errors
    /// If the output has another shape, or an answer is not finite.
    pub(super) fn of(task: &FolderTask, output: &Tensor) -> Result<Self> {
        let answers = match &task.kind {
            TaskKind::Segmentation { .. } => {
                let (_, _, height, width) = output.dims4()?;
                let classes = output.argmax(1)?.to_dtype(DType::U8)?.flatten(1, D::Minus1)?.to_vec2()?;
                Self::Map { classes, size: [height, width] }
            }
            TaskKind::Classification { .. } => {
                let logits = output.to_dtype(DType::F64)?.to_vec2::<f64>()?;
                Self::Probabilities(logits.iter().map(|logits| softmax(logits)).collect())
            }
            TaskKind::Multilabel { .. } => {
                // The logits of absence and presence of each property.
                let of_case = |logits: &Vec<Vec<f64>>| {
                    logits[0].iter().zip(&logits[1]).map(|(&absent, &present)| softmax(&[absent, present])[1]).collect()
                };
                Self::Probabilities(output.to_dtype(DType::F64)?.to_vec3::<f64>()?.iter().map(of_case).collect())
            }
            TaskKind::Regression { .. } => {
                let standard = standardisation(task);
                let numbers = output.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
                Self::Numbers(numbers.into_iter().map(|number| standard.number(number)).collect())
            }
        };
        let values = match &answers {
            Self::Map { .. } => Vec::new(),
            Self::Probabilities(cases) => cases.concat(),
            Self::Numbers(numbers) => numbers.clone(),
        };
        for value in values {
            NonFinite::check(task.name.clone(), "prediction", value)?;
        }
        Ok(answers)
    }
}

/// Probabilities from logits.
fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// How the numbers of a regression were standardised.
pub(super) fn standardisation(task: &FolderTask) -> Standardisation {
    let [mean, std] = task.scale.unwrap_or([0.0, 1.0]);
    Standardisation { mean, std }
}

/// What was measured of a task so far.
struct TaskMeasure {
    loss: f64,
    count: usize,
    measure: Measure,
}

enum Measure {
    Segmentation(SegmentationMeasure),
    Classes(ClassMeasure),
    Labels(LabelMeasure),
    Numbers(NumberMeasure),
}

impl TaskMeasure {
    fn new(task: &FolderTask) -> Self {
        let measure = match &task.kind {
            TaskKind::Segmentation { .. } => Measure::Segmentation(SegmentationMeasure::new(structures(&task.kind))),
            TaskKind::Classification { .. } => Measure::Classes(ClassMeasure::new(task.outputs.clone())),
            TaskKind::Multilabel { .. } => Measure::Labels(LabelMeasure::new(task.outputs.clone())),
            TaskKind::Regression { .. } => Measure::Numbers(NumberMeasure::default()),
        };
        Self { loss: 0.0, count: 0, measure }
    }

    /// Adds the answer at `place` for a case that has a label.
    fn add(
        &mut self,
        folder: &Folder,
        (task, case): (usize, u32),
        answers: &Answers,
        place: usize,
        scores: &mut Scores<'_>,
    ) -> Result<()> {
        let name = &folder.cases()[case as usize].name;
        match (&mut self.measure, answers, folder.label(task, case as usize)) {
            (Measure::Segmentation(measure), Answers::Map { classes, size: [_, width] }, Some(Label::Mask)) => {
                let (_, truth) = folder.mask(task, case as usize).context("a label without a mask")?;
                let (predicted, spacing) = (&classes[place][..], folder.pixel_size(task, case as usize));
                measure.add(name, Pixels { predicted, truth, width: *width, spacing }, scores)
            }
            (Measure::Classes(measure), Answers::Probabilities(all), Some(Label::Class(class))) => {
                measure.add((case, name), all[place].clone(), u32::from(*class), scores);
                Ok(())
            }
            (Measure::Labels(measure), Answers::Probabilities(all), Some(Label::Properties(truth))) => {
                measure.add(name, &all[place], truth, scores);
                Ok(())
            }
            (Measure::Numbers(measure), Answers::Numbers(all), Some(Label::Number(number))) => {
                measure.add(name, all[place], *number, scores);
                Ok(())
            }
            _ => anyhow::bail!("case `{name}` has a label of another kind than its task"),
        }
    }

    fn finish(&self, scores: &mut Scores<'_>) -> Result<()> {
        match &self.measure {
            Measure::Segmentation(measure) => {
                measure.finish(scores);
                Ok(())
            }
            Measure::Classes(measure) => measure.finish(scores),
            Measure::Labels(measure) => measure.finish(scores),
            Measure::Numbers(measure) => measure.finish(scores),
        }
    }
}
