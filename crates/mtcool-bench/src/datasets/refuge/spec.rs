//! Tasks, columns and figure of REFUGE2018.

use anyhow::{Context, Result};
use mtcool_metrics::Metric;
use serde_json::Value;

use super::settings::RefugeSettings;
use crate::suite::{Colour, Column, DatasetSpec, Drawing, FigureTask, OutlinedClasses, TaskOutput, TaskSpec};

/// Task 0 is the segmentation, task 1 the classification.
pub(super) const TASKS: [&str; 2] = ["segmentation", "glaucoma"];
const COLUMNS: [(&str, &str, &str); 6] = [
    (TASKS[0], "dice_cup", "Cup Dice"),
    (TASKS[0], "dice_disc", "Disc Dice"),
    (TASKS[1], "accuracy", "Acc"),
    (TASKS[1], "auroc", "AUROC"),
    (TASKS[1], "sensitivity", "Sen"),
    (TASKS[1], "specificity", "Spe"),
];
/// The classes of the segmentation: background, rim and cup.
pub(super) const CLASSES: usize = 3;

/// The colours of disc and cup, in figures and in masks.
pub(super) const DISC: Colour = [240, 228, 66];
/// See [`DISC`].
pub(super) const CUP: Colour = [86, 180, 233];

pub(super) fn spec(settings: &Value) -> Result<DatasetSpec> {
    let RefugeSettings { side, .. } = serde_json::from_value(settings.clone()).context("data.settings")?;
    let parts = [(1, DISC, "disc"), (2, CUP, "cup")];
    let parts = parts.map(|(from, colour, label)| OutlinedClasses { from, colour, label: label.into() });
    Ok(DatasetSpec {
        input: [3, side, side],
        tasks: vec![
            TaskSpec::new(TASKS[0], TaskOutput::Segmentation { classes: CLASSES }),
            TaskSpec::new(TASKS[1], TaskOutput::Class { classes: 2 }),
        ],
        columns: COLUMNS.map(|(task, metric, label)| Column::new(task, metric, label)).into(),
        has_test: true,
        figure: Some(FigureTask {
            task: TASKS[0].into(),
            metrics: vec![
                (Metric::DiceDisc.name().into(), "disc".into()),
                (Metric::DiceCup.name().into(), "cup".into()),
            ],
            drawing: Drawing::Outlines {
                parts: parts.into(),
                truth: ([255, 255, 255], "truth on a prediction: thin, white".into()),
            },
            shows_detail: false,
        }),
    })
}
