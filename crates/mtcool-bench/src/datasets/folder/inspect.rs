//! What `mtcool data inspect` and `mtcool data init` tell about a folder.

use std::path::Path;

use anyhow::{Result, ensure};
use mtcool_data::folder::{Example, Inspection, Suggestion, TaskConfig, TaskKind};
use serde_json::Value;

use super::sheet::{SheetPicture, page};
use super::spec::config;
use super::suite::options;
use super::tables::read_parquet;
use super::template::template;
use crate::progress::counter;
use crate::suite::{DataPlace, Inspected};

/// Number of cases on the contact sheet.
const EXAMPLES: usize = 24;

/// Looks at every file of the folder `root` with these settings.
///
/// # Errors
/// If the cache cannot be written, or a picture cannot be encoded; mistakes in the folder are in the text.
pub(super) fn inspect(DataPlace { folder: root, cache }: DataPlace<'_>, settings: &Value) -> Result<Inspected> {
    let config = config(settings)?;
    let inspection = Inspection::of(root, &config, &options(cache), &counter("reading pictures"))?;
    let text = inspection.to_string();
    let pictures: Vec<SheetPicture> = inspection.examples(EXAMPLES).into_iter().flat_map(pictures).collect();
    let dense = |task: &&TaskConfig| matches!(task.kind, TaskKind::Segmentation { .. });
    let legends: Vec<(String, Vec<String>)> =
        config.tasks.iter().filter(dense).map(|task| (task.name.clone(), task.kind.outputs())).collect();
    let title = format!("Folder {}", root.display());
    Ok(Inspected { page: page(&title, &text, &legends, &pictures)?, is_usable: inspection.problems.is_empty(), text })
}

/// The pictures of a case: each picture once for each of its masks, or once without a mask.
fn pictures(example: Example) -> Vec<SheetPicture> {
    let Example { name, part, views, labels, .. } = example;
    let part = part.map_or_else(|| "left out".to_owned(), |part| part.to_string());
    let mut caption = vec![format!("{name} ({part})")];
    let labels = labels.into_iter();
    caption.extend(labels.map(|(task, label)| format!("{task}: {}", label.as_deref().unwrap_or("no label"))));
    let of_view = |view: mtcool_data::folder::ExampleView| {
        let (size, rgb) = ([view.picture.height, view.picture.width], view.picture.to_rgb8());
        let picture = |task: Option<String>, mask: Option<Vec<u8>>| {
            let mut caption = caption.clone();
            caption.extend(task.map(|task| format!("mask of {task}")));
            SheetPicture { caption, size, rgb: rgb.clone(), mask }
        };
        if view.masks.is_empty() {
            return vec![picture(None, None)];
        }
        view.masks.into_iter().map(|(task, mask)| picture(Some(task), Some(mask))).collect()
    };
    views.into_iter().flat_map(of_view).collect()
}

/// A starting configuration for the folder `root`, as the text of an experiment's file.
///
/// # Errors
/// If there is nothing in the folder that could be predicted.
pub(super) fn suggest(root: &Path) -> Result<String> {
    ensure!(root.is_dir(), "there is no folder `{}`", root.display());
    template(root, &Suggestion::for_folder(root, Some(read_parquet))?)
}
