//! Tasks, usual losses, columns and figure of a folder, derived from its settings.

use anyhow::{Context, Result};
use mtcool_data::folder::{FolderConfig, IGNORED, TaskConfig, TaskKind, TestPart};
use serde_json::{Value, json};

use super::measure::Structure;
use crate::suite::{Colour, Column, DatasetSpec, Drawing, FigureTask, MapPalette, TaskOutput, TaskSpec};

/// The class that classes of pixels are told apart from, if it is the first one.
const BACKGROUND: &str = "background";
/// Of a segmentation with more structures than this, the table has the mean Dice only.
const MOST_COLUMNS: usize = 4;

/// The checked settings.
pub(super) fn config(settings: &Value) -> Result<FolderConfig> {
    serde_json::from_value(settings.clone()).context("data.settings")
}

pub(super) fn spec(settings: &Value) -> Result<DatasetSpec> {
    let config = config(settings)?;
    let problems = config.check();
    if !problems.is_empty() {
        return Err(anyhow::anyhow!("data.settings: {problems}"));
    }
    let [height, width] = config.size;
    Ok(DatasetSpec {
        input: [config.channels, height, width],
        tasks: config.tasks.iter().map(|own| task(own, config.balanced.as_ref() == Some(&own.name))).collect(),
        columns: config.tasks.iter().flat_map(columns).collect(),
        figure: config.tasks.iter().find_map(figure),
        has_test: config.split.test != TestPart::None,
    })
}

/// A task with losses that fit its kind: cross-entropy and Dice for pixels, which see both single pixels and small structures;
/// cross-entropy for classes, balanced unless the batches are; a binary cross-entropy for each property; Huber's loss for numbers, which are
/// standardised, so that single wrong labels do not rule.
fn task(task: &TaskConfig, has_balanced_batches: bool) -> TaskSpec {
    let count = task.kind.outputs().len();
    let (output, losses) = match &task.kind {
        TaskKind::Segmentation { .. } => (
            TaskOutput::Segmentation { classes: count },
            vec![("cross_entropy".into(), json!({})), ("dice".into(), json!({}))],
        ),
        TaskKind::Classification { .. } => {
            let settings =
                if has_balanced_batches { json!({}) } else { json!({ "class_weights": "inverse_frequency" }) };
            (TaskOutput::Class { classes: count }, vec![("cross_entropy".into(), settings)])
        }
        TaskKind::Multilabel { .. } => {
            (TaskOutput::Multilabel { labels: count }, vec![("cross_entropy".into(), json!({}))])
        }
        TaskKind::Regression { .. } => {
            (TaskOutput::Regression { values: count }, vec![("huber".into(), json!({ "delta": 1.0 }))])
        }
    };
    let ignored = (!output.is_numbers()).then_some(u32::from(IGNORED));
    TaskSpec { ignored, usual_losses: losses, ..TaskSpec::new(task.name.clone(), output) }
}

/// What is measured of a segmentation: each class but the background, and each union of classes.
pub(super) fn structures(kind: &TaskKind) -> Vec<Structure> {
    let classes = (0..).zip(kind.outputs()).filter(|(_, name)| name != BACKGROUND);
    let classes = classes.map(|(class, name)| Structure { name, classes: vec![class] });
    let regions = kind.regions().into_iter().map(|(name, classes)| Structure { name, classes });
    classes.chain(regions).collect()
}

fn columns(task: &TaskConfig) -> Vec<Column> {
    let TaskConfig { name, kind, .. } = task;
    let column = |metric: String, label: String| Column::new(name.clone(), metric, label);
    match kind {
        TaskKind::Segmentation { .. } => {
            let structures = structures(kind);
            if structures.len() > MOST_COLUMNS {
                return vec![column("dice".into(), format!("{name} Dice"))];
            }
            let of = |structure: &Structure| column(structure.metric("dice"), format!("{} Dice", structure.name));
            structures.iter().map(of).collect()
        }
        TaskKind::Classification { .. } => vec![
            column("auroc".into(), format!("{name} AUROC")),
            column("balanced_accuracy".into(), format!("{name} balanced acc.")),
        ],
        TaskKind::Multilabel { .. } => vec![column("auroc".into(), format!("{name} AUROC"))],
        TaskKind::Regression { unit, .. } => {
            let unit = unit.as_ref().map_or_else(String::new, |unit| format!(" ({unit})"));
            vec![
                column("mae".into(), format!("{name} error{unit}")).lower_is_better().in_own_unit(),
                column("pearson".into(), format!("{name} correlation")).in_own_unit(),
            ]
        }
    }
}

/// Colours of the classes of a figure, which are repeated if there are more classes.
pub(super) const COLOURS: [Colour; 8] = [
    [86, 180, 233],
    [240, 228, 66],
    [0, 158, 115],
    [213, 94, 0],
    [204, 121, 167],
    [0, 114, 178],
    [230, 159, 0],
    [148, 148, 148],
];

/// The figure of a segmentation: its classes painted over the picture.
fn figure(task: &TaskConfig) -> Option<FigureTask> {
    let TaskKind::Segmentation { .. } = task.kind else { return None };
    let names = (0u8..).zip(task.kind.outputs()).skip(1);
    let classes = names.map(|(class, name)| (class, COLOURS[(usize::from(class) - 1) % COLOURS.len()], name.into()));
    let metrics = structures(&task.kind).into_iter().map(|s| (s.metric("dice").into(), s.name.into()));
    Some(FigureTask {
        task: task.name.clone().into(),
        metrics: metrics.collect(),
        drawing: Drawing::Map(MapPalette {
            classes: classes.collect(),
            missed: ([255, 0, 255], "missed".into()),
            false_alarm: ([255, 255, 255], "false alarm".into()),
            confused: ([255, 0, 0], "wrong class".into()),
            undecided: Some((IGNORED, [64, 64, 64], "not decided".into())),
        }),
        shows_detail: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tasks: &str) -> DatasetSpec {
        let settings: Value =
            toml::from_str(&format!("images = \"{{case}}.png\"\ntable = \"labels.csv\"\nsize = [32, 48]\n{tasks}"))
                .unwrap();
        spec(&settings).unwrap()
    }

    #[test]
    fn columns_and_losses_follow_from_the_tasks() {
        let spec = of(r#"
            [[tasks]]
            name = "disc"
            kind = "segmentation"
            mask = "masks/{case}.png"
            classes = { 0 = "background", 1 = "rim", 2 = "cup" }
            regions = { "whole disc" = ["rim", "cup"] }
            [[tasks]]
            name = "glaucoma"
            kind = "classification"
            column = "glaucoma"
            classes = [0, 1]
            [[tasks]]
            name = "signs"
            kind = "multilabel"
            columns = ["a", "b", "c"]
            [[tasks]]
            name = "cdr"
            kind = "regression"
            column = "cdr"
            unit = "mm"
        "#);
        assert_eq!(spec.input, [3, 32, 48]);
        let outputs: Vec<TaskOutput> = spec.tasks.iter().map(|task| task.output).collect();
        assert_eq!(outputs[..2], [TaskOutput::Segmentation { classes: 3 }, TaskOutput::Class { classes: 2 }]);
        assert_eq!(outputs[2..], [TaskOutput::Multilabel { labels: 3 }, TaskOutput::Regression { values: 1 }]);
        let columns: Vec<(&str, &str, bool)> =
            spec.columns.iter().map(|c| (&*c.metric, &*c.label, c.is_lower_better)).collect();
        let wanted = [
            ("dice_rim", "rim Dice", false),
            ("dice_cup", "cup Dice", false),
            ("dice_whole_disc", "whole disc Dice", false),
            ("auroc", "glaucoma AUROC", false),
            ("balanced_accuracy", "glaucoma balanced acc.", false),
            ("auroc", "signs AUROC", false),
            ("mae", "cdr error (mm)", true),
            ("pearson", "cdr correlation", false),
        ];
        assert_eq!(columns, wanted);
        let losses = |task: usize| spec.tasks[task].usual_losses.iter().map(|(name, _)| &**name).collect::<Vec<_>>();
        assert_eq!([losses(0), losses(1)], [vec!["cross_entropy", "dice"], vec!["cross_entropy"]]);
        assert_eq!([losses(2), losses(3)], [["cross_entropy"], ["huber"]]);
        let ignored: Vec<Option<u32>> = spec.tasks.iter().map(|task| task.ignored).collect();
        assert_eq!(ignored, [Some(255), Some(255), Some(255), None]);
        let Some(FigureTask { drawing: Drawing::Map(palette), task, .. }) = spec.figure else { panic!("no map") };
        assert_eq!((&*task, palette.classes.len()), ("disc", 2));
        assert!(spec.has_test);
    }

    #[test]
    fn settings_that_cannot_work_are_an_error_and_without_a_test_part_there_is_none() {
        let none = of("split = { test = \"none\" }\n[[tasks]]\nname = \"a\"\nkind = \"regression\"\ncolumn = \"a\"");
        assert!(!none.has_test && none.figure.is_none());
        let error = spec(&json!({ "images": "{case}.png", "size": [32, 48] })).unwrap_err().to_string();
        assert!(error.contains("`tasks` is empty"), "{error}");
    }
}
