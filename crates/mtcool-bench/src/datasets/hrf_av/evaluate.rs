//! The metrics of Table 3: confusion counts of whole photographs, pooled over all photographs.

use std::cell::Cell;

use anyhow::Result;
use candle_core::DType;
use mtcool_core::{Network, Parameters};
use mtcool_data::augment::PixelView;
use mtcool_data::hrf_av::{CLASS, Class, FIELD, Photograph, VESSEL};
use mtcool_models::{Tile, Tiling};

use super::settings::{Green, HrfAvSettings, MeasuredArea};
use super::spec::TASKS;
use super::standard::Standard;
use crate::suite::{CaseMap, CaseScore, Evaluation, MapSink, NonFinite};
use mtcool_metrics::{ClassMap, ClassSet, Confusion};

/// A quantity that is measured: its task, the names of its accuracy and F1, and the predicted classes and true marks that count
/// as positive.
struct Target {
    task: usize,
    accuracy: &'static str,
    f1: &'static str,
    predicted: ClassSet,
    positive: fn(u8) -> bool,
    /// Whether it distinguishes arteries from veins, so that the setting `green` decides about crossings.
    tells_kinds: bool,
}

const ARTERY: u8 = Class::Artery as u8;
const VEIN: u8 = Class::Vein as u8;
const TARGETS: [Target; 4] = [
    Target {
        task: 1,
        accuracy: "artery_accuracy",
        f1: "artery_f1",
        predicted: ClassSet::of(&[ARTERY]),
        positive: |mark| mark & CLASS == ARTERY,
        tells_kinds: true,
    },
    Target {
        task: 1,
        accuracy: "vein_accuracy",
        f1: "vein_f1",
        predicted: ClassSet::of(&[VEIN]),
        positive: |mark| mark & CLASS == VEIN,
        tells_kinds: true,
    },
    Target {
        task: 1,
        accuracy: "av_accuracy",
        f1: "av_f1",
        predicted: ClassSet::of(&[ARTERY, VEIN]),
        positive: |mark| mark & CLASS != 0,
        tells_kinds: false,
    },
    Target {
        task: 0,
        accuracy: "accuracy",
        f1: "f1",
        predicted: ClassSet::of(&[1]),
        positive: |mark| mark & VESSEL != 0,
        tells_kinds: false,
    },
];

/// A photograph with its truth.
#[derive(Clone)]
pub(super) struct Marked<'a> {
    /// The case's name.
    pub(super) case: String,
    /// Red, green and blue `[H, W, 3]`.
    pub(super) pixels: PixelView<'a>,
    /// One [`Mark`](mtcool_data::hrf_av::Mark) per pixel, `[H, W]`.
    pub(super) marks: PixelView<'a>,
}

impl<'a> Marked<'a> {
    pub(super) fn of(photograph: &'a Photograph) -> Self {
        Self { case: photograph.id.to_string(), pixels: photograph.pixels(), marks: photograph.marks() }
    }
}

/// Predicts whole photographs and computes all metrics.
pub(super) fn evaluate<'a>(
    photographs: impl IntoIterator<Item = Marked<'a>>,
    settings: &HrfAvSettings,
    standard: Standard,
    (network, parameters): (&dyn Network, &Parameters),
    mut maps: Option<&mut MapSink<'_>>,
) -> Result<Evaluation> {
    let mut pooled = [Confusion::default(); TARGETS.len()];
    let mut scores = Vec::new();
    for Marked { case, pixels, marks } in photographs {
        let predicted = predict(pixels, standard, settings.tiling(), network, parameters)?;
        for (target, pooled) in TARGETS.iter().zip(&mut pooled) {
            let counts = count(target, &predicted[target.task], marks.bytes, settings)?;
            *pooled = [*pooled, counts].into_iter().sum();
            for (metric, value) in [(target.accuracy, counts.accuracy()), (target.f1, counts.f1())] {
                let (task, case) = (TASKS[target.task].into(), case.clone());
                scores.push(CaseScore { task, case, metric: metric.into(), value: 100.0 * value });
            }
        }
        if let Some(maps) = maps.as_mut() {
            for (task, classes) in TASKS.into_iter().zip(predicted) {
                let (height, width) = (pixels.height, pixels.width);
                maps(CaseMap { task: task.into(), case: case.clone(), height, width, classes })?;
            }
        }
    }
    let mut evaluation = Evaluation { scores, ..Evaluation::default() };
    for (target, counts) in TARGETS.iter().zip(pooled) {
        evaluation.measure(TASKS[target.task], target.accuracy, 100.0 * counts.accuracy());
        evaluation.measure(TASKS[target.task], target.f1, 100.0 * counts.f1());
    }
    Ok(evaluation)
}

/// The most probable class of each pixel of `photograph`: `[H * W]` for each task.
pub(super) fn predict(
    photograph: PixelView<'_>,
    standard: Standard,
    tiling: Tiling,
    network: &dyn Network,
    parameters: &Parameters,
) -> Result<Vec<Vec<u8>>> {
    // A logit that is infinite or NaN makes the sum of its tile infinite or NaN.
    let sums = [const { Cell::new(0.0f64) }; TASKS.len()];
    let forward = |tile: &Tile| {
        let input = standard.tile(photograph, tile)?;
        let outputs = network.forward_all(parameters, &[&input, &input])?;
        for (sum, output) in sums.iter().zip(&outputs) {
            sum.set(sum.get() + f64::from(output.abs()?.mean_all()?.to_dtype(DType::F32)?.to_scalar::<f32>()?));
        }
        Ok(outputs)
    };
    let classes = tiling.classes([photograph.height, photograph.width], forward)?;
    for (task, sum) in TASKS.into_iter().zip(&sums) {
        NonFinite::check(task, "mean of all logits", sum.get())?;
    }
    Ok(classes)
}

/// The confusion counts of `target` on one photograph.
fn count(target: &Target, predicted: &[u8], marks: &[u8], settings: &HrfAvSettings) -> Result<Confusion> {
    let positives: Vec<u8> = marks.iter().map(|&mark| u8::from((target.positive)(mark))).collect();
    let is_measured = |&mark: &u8| {
        let outside = settings.region == MeasuredArea::Fov && mark & FIELD == 0;
        let undecided = target.tells_kinds && mark & CLASS == Class::Crossing as u8;
        !(outside || undecided && settings.green == Green::Excluded)
    };
    let region: Vec<bool> = marks.iter().map(is_measured).collect();
    let prediction = ClassMap { classes: predicted, positive: target.predicted };
    let truth = ClassMap { classes: &positives, positive: ClassSet::of(&[1]) };
    Ok(Confusion::of_pixels(prediction, truth, Some(&region))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (artery, vein, AV, binary) as (true positives, false positives, false negatives, true negatives).
    fn counts(region: MeasuredArea, green: Green) -> [[u64; 4]; 4] {
        // Background inside and outside of the field, artery, vein, crossing, and a vessel that only the binary task has.
        let marks = [FIELD, 0, FIELD | VESSEL | 1, FIELD | VESSEL | 2, FIELD | VESSEL | 3, FIELD | VESSEL];
        let av = [0, 1, 1, 1, 2, 2];
        let binary = [1, 1, 1, 0, 1, 1];
        let settings = HrfAvSettings { region, green, ..HrfAvSettings::default() };
        [0, 1, 2, 3].map(|at| {
            let predicted = if TARGETS[at].task == 0 { &binary } else { &av };
            let counts = count(&TARGETS[at], predicted, &marks, &settings).unwrap();
            [counts.true_positives, counts.false_positives, counts.false_negatives, counts.true_negatives]
        })
    }

    #[test]
    fn each_column_counts_what_it_says() {
        assert_eq!(
            counts(MeasuredArea::Image, Green::Negative),
            [[1, 2, 0, 3], [0, 2, 1, 3], [3, 2, 0, 1], [3, 2, 1, 0]]
        );
        assert_eq!(
            counts(MeasuredArea::Fov, Green::Negative),
            [[1, 1, 0, 3], [0, 2, 1, 2], [3, 1, 0, 1], [3, 1, 1, 0]]
        );
        assert_eq!(
            counts(MeasuredArea::Image, Green::Excluded),
            [[1, 2, 0, 2], [0, 1, 1, 3], [3, 2, 0, 1], [3, 2, 1, 0]]
        );
    }
}
