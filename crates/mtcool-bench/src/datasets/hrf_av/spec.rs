//! Tasks, columns and figure of HRF-AV.

use anyhow::{Context, Result};
use mtcool_data::hrf_av::Class;
use serde_json::Value;

use super::settings::HrfAvSettings;
use crate::suite::{Column, DatasetSpec, Drawing, FigureTask, MapPalette, TaskOutput, TaskSpec};

/// Task 0 finds vessels, task 1 distinguishes arteries from veins.
pub(super) const TASKS: [&str; 2] = ["binary", "av"];
const COLUMNS: [(&str, &str, &str); 8] = [
    (TASKS[1], "artery_accuracy", "Artery Acc"),
    (TASKS[1], "artery_f1", "Artery F1"),
    (TASKS[1], "vein_accuracy", "Vein Acc"),
    (TASKS[1], "vein_f1", "Vein F1"),
    (TASKS[1], "av_accuracy", "AV Acc"),
    (TASKS[1], "av_f1", "AV F1"),
    (TASKS[0], "accuracy", "Binary Acc"),
    (TASKS[0], "f1", "Binary F1"),
];
/// Class, colour and name of the classes of the A/V task except the background. Crossings occur only in the annotation.
const PALETTE: [(Class, [u8; 3], &str); 2] =
    [(Class::Artery, [230, 60, 60], "artery"), (Class::Vein, [70, 110, 255], "vein")];

pub(super) fn spec(settings: &Value) -> Result<DatasetSpec> {
    let HrfAvSettings { patch, .. } = serde_json::from_value(settings.clone()).context("data.settings")?;
    let (vessel, kinds) = (TaskOutput::Segmentation { classes: 2 }, TaskOutput::Segmentation { classes: 3 });
    let ignored = Some(Class::Crossing as u32);
    let palette = MapPalette {
        classes: PALETTE.map(|(class, colour, name)| (class as u8, colour, name.into())).into(),
        missed: ([255, 235, 60], "missed".into()),
        false_alarm: ([0, 200, 160], "no vessel there".into()),
        confused: ([255, 90, 255], "artery and vein swapped".into()),
        undecided: Some((Class::Crossing as u8, [120, 120, 120], "found, kind unknown".into())),
    };
    Ok(DatasetSpec {
        input: [3, patch, patch],
        tasks: vec![TaskSpec::new(TASKS[0], vessel), TaskSpec { ignored, ..TaskSpec::new(TASKS[1], kinds) }],
        columns: COLUMNS.map(|(task, metric, label)| Column::new(task, metric, label)).into(),
        has_test: true,
        figure: Some(FigureTask {
            task: TASKS[1].into(),
            metrics: vec![("artery_f1".into(), "artery F1".into()), ("vein_f1".into(), "vein F1".into())],
            drawing: Drawing::Map(palette),
            shows_detail: true,
        }),
    })
}
