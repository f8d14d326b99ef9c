//! Dice, intersection over union and the distance of outlines, by structure and case.

use anyhow::Result;
use mtcool_data::folder::IGNORED;
use mtcool_metrics::{ClassMap, ClassSet, Confusion, hausdorff_95};

use super::{Scores, mean, slug};

/// What is measured of a class map: a class, or a union of classes.
#[derive(Clone, Debug)]
pub(in super::super) struct Structure {
    /// Its name in the settings.
    pub(in super::super) name: String,
    /// The classes that belong to it.
    pub(in super::super) classes: Vec<u8>,
}

impl Structure {
    /// The name of one of its metrics, such as `dice_cup`.
    pub(in super::super) fn metric(&self, metric: &str) -> String {
        format!("{metric}_{}", slug(&self.name))
    }
}

/// The pixels of one case.
#[derive(Clone, Copy)]
pub(in super::super) struct Pixels<'a> {
    /// Predicted classes `[H * W]`.
    pub(in super::super) predicted: &'a [u8],
    /// True classes `[H * W]`; [`IGNORED`] pixels count for nothing.
    pub(in super::super) truth: &'a [u8],
    /// W.
    pub(in super::super) width: usize,
    /// Height and width of a pixel, in the unit of distances; without them, no distance is measured.
    pub(in super::super) spacing: Option<[f64; 2]>,
}

/// The scores of a segmentation so far.
pub(in super::super) struct SegmentationMeasure {
    structures: Vec<Structure>,
    /// For each structure, Dice in per cent, intersection over union in per cent, and distance, case by case.
    values: Vec<[Vec<f64>; 3]>,
}

const METRICS: [&str; 3] = ["dice", "iou", "hd95"];

impl SegmentationMeasure {
    pub(in super::super) fn new(structures: Vec<Structure>) -> Self {
        let values = vec![[const { Vec::new() }; 3]; structures.len()];
        Self { structures, values }
    }

    /// Adds a case.
    ///
    /// # Errors
    /// If the numbers of pixels differ.
    pub(in super::super) fn add(&mut self, case: &str, pixels: Pixels<'_>, scores: &mut Scores<'_>) -> Result<()> {
        for (structure, values) in self.structures.iter().zip(&mut self.values) {
            let figures = figures(structure, pixels)?;
            for ((metric, value), values) in METRICS.iter().zip(figures).zip(values) {
                let Some(value) = value else { continue };
                scores.case(case, structure.metric(metric), value);
                values.push(value);
            }
        }
        Ok(())
    }

    /// The means over the cases of each structure, and the mean of Dice over all structures.
    pub(in super::super) fn finish(&self, scores: &mut Scores<'_>) {
        let all = self.structures.iter().zip(&self.values);
        for (structure, values) in all {
            for (metric, values) in METRICS.iter().zip(values) {
                scores.measure(structure.metric(metric), mean(values.iter().copied()));
            }
        }
        scores.measure("dice", mean(self.values.iter().map(|[dice, ..]| mean(dice.iter().copied()))));
    }
}

/// Dice and intersection over union in per cent, and the distance of the outlines where pixels have a size. If the structure is
/// neither there nor predicted, they are 100, 100 and 0.
fn figures(structure: &Structure, pixels: Pixels<'_>) -> Result<[Option<f64>; 3]> {
    let positive = ClassSet::of(&structure.classes);
    let decided: Vec<bool> = pixels.truth.iter().map(|&class| class != IGNORED).collect();
    let of = |classes| ClassMap { classes, positive };
    let counts = Confusion::of_pixels(of(pixels.predicted), of(pixels.truth), Some(&decided))?;
    let ratio = |ratio: f64| if counts.is_empty() { 100.0 } else { 100.0 * ratio };
    // Outside of the decided pixels, neither map has the structure.
    let masks = [pixels.predicted, pixels.truth].map(|classes| -> Vec<u8> {
        classes.iter().zip(&decided).map(|(&class, &decided)| u8::from(decided && positive.contains(class))).collect()
    });
    let positive = ClassSet::of(&[1]);
    let [predicted, truth] = masks.each_ref().map(|classes| ClassMap { classes, positive });
    let distance = |spacing: [f64; 2]| hausdorff_95(predicted, truth, pixels.width, spacing);
    Ok([Some(ratio(counts.f1())), Some(ratio(counts.iou())), pixels.spacing.map(distance).transpose()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Evaluation;

    fn value(evaluation: &Evaluation, metric: &str) -> f64 {
        evaluation.measurements.iter().find(|measured| measured.metric == metric).unwrap().value
    }

    #[test]
    fn structures_are_measured_per_case_and_ignored_pixels_are_left_out() {
        let structures = vec![
            Structure { name: "cup".into(), classes: vec![2] },
            Structure { name: "disc".into(), classes: vec![1, 2] },
        ];
        let (mut measure, mut evaluation) = (SegmentationMeasure::new(structures), Evaluation::default());
        let spacing = Some([2.0, 0.5]);
        let cases: [([u8; 6], [u8; 6]); 2] = [
            // Cup: one of two pixels, and nothing else. Disc: three of three; the last pixel is not decided.
            ([0, 2, 1, 0, 1, 2], [0, 2, 2, 0, 1, IGNORED]),
            // Neither structure is there or predicted.
            ([0; 6], [0; 6]),
        ];
        for (index, (predicted, truth)) in cases.iter().enumerate() {
            let mut scores = Scores::new("seg", &mut evaluation);
            measure.add(&format!("case{index}"), Pixels { predicted, truth, width: 3, spacing }, &mut scores).unwrap();
        }
        measure.finish(&mut Scores::new("seg", &mut evaluation));
        let close = |metric: &str, want: f64| {
            let got = value(&evaluation, metric);
            assert!((got - want).abs() < 1e-9, "{metric}: {got} instead of {want}");
        };
        close("dice_cup", (200.0 / 3.0 + 100.0) / 2.0);
        close("iou_cup", (50.0 + 100.0) / 2.0);
        close("dice_disc", 100.0);
        close("iou_disc", 100.0);
        close("hd95_disc", 0.0);
        close("dice", (250.0 / 3.0 + 100.0) / 2.0);
        // True cup at columns 1 and 2 of the first row, predicted at column 1: the 95th percentile of distances 0 and 0.5.
        close("hd95_cup", 0.95 * 0.5 / 2.0);
        assert_eq!(evaluation.scores.len(), 12);
        // A case whose pixels have no known size counts for the other metrics alone.
        let (predicted, truth): (&[u8], &[u8]) = (&[2; 6], &[0; 6]);
        let unknown = Pixels { predicted, truth, width: 3, spacing: None };
        measure.add("case2", unknown, &mut Scores::new("seg", &mut evaluation)).unwrap();
        assert_eq!(evaluation.scores.len(), 16);
        let mut again = Evaluation::default();
        measure.finish(&mut Scores::new("seg", &mut again));
        assert!((value(&again, "hd95_cup") - 0.95 * 0.5 / 2.0).abs() < 1e-9);
        assert!((value(&again, "dice_cup") - (200.0 / 3.0 + 100.0) / 3.0).abs() < 1e-9);
        assert!(evaluation.scores.iter().any(|score| score.case == "case1" && score.metric == "hd95_cup"));
    }
}
