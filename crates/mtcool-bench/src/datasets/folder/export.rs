//! What the file of an exported network says about its pictures and answers.

use anyhow::Result;
use mtcool_data::folder::{Fit, FolderConfig, FolderTask, TaskKind};

use super::batches::Group;
use super::evaluate::standardisation;
use super::files::FolderFiles;
use super::measure::Standardisation;
use super::spec::config;
use super::tiles::tiling;
use crate::suite::{AnswerForm, ExportForm, PictureForm, TrainedModel};

/// The form of the pictures that a network of this folder reads, and the names and scales of its answers.
///
/// # Errors
/// If another version of the program wrote the run's configuration.
pub(super) fn form(model: &TrainedModel) -> Result<ExportForm> {
    let config = config(&model.data_settings)?;
    let statistics = FolderFiles::statistics(&model.files, model.seed, config.tasks.len())?;
    let tasks = FolderTask::trained(&config, &statistics);
    let groups = Group::of_tasks(&tasks, &(0..tasks.len()).collect::<Vec<_>>());
    let pictures = groups.iter().map(|group| {
        let normalization = &statistics.normalization[group.tasks[0]];
        PictureForm {
            description: description(&config, tasks[group.tasks[0]].fit),
            white: 255.0,
            mean: normalization.mean.clone(),
            deviation: normalization.deviation.clone(),
            multiple: None,
        }
    });
    let answer = |(index, task): (usize, &FolderTask)| {
        let Standardisation { mean, std } = standardisation(task);
        let unit = match &task.kind {
            TaskKind::Regression { unit, .. } => unit.clone(),
            _ => None,
        };
        let picture = groups.iter().position(|group| group.tasks.contains(&index)).unwrap_or(0);
        AnswerForm { picture, scale: [mean, std], unit, ..AnswerForm::new(task.outputs.iter().cloned()) }
    };
    Ok(ExportForm { pictures: pictures.collect(), answers: tasks.iter().enumerate().map(answer).collect() })
}

fn description(config: &FolderConfig, fit: Fit) -> String {
    let [height, width] = config.size;
    let scale =
        if config.scale == 1.0 { String::new() } else { format!(", their sides multiplied by {}", config.scale) };
    let pictures = match fit {
        Fit::Resize => format!("pictures resized to {width} x {height} pixels"),
        Fit::Crop => format!("the middle {width} x {height} pixels of pictures{scale}, black beyond their edges"),
        Fit::Patches => {
            let side = tiling(config).side;
            format!(
                "pictures at their own resolution{scale}, larger ones in overlapping tiles of {side} x {side} pixels"
            )
        }
    };
    let channels = match config.channels {
        1 => "grey".to_owned(),
        3 => "red, green, blue".to_owned(),
        count => format!("{count} channels"),
    };
    format!("{pictures}; {channels}; values of 16 bits divided by 257")
}
