//! A folder beside the training data, on which networks are measured that were trained on another folder with the same tasks.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use mtcool_core::{Network, Parameters};
use mtcool_data::folder::{Folder, FolderConfig, Part, SplitConfig, TaskConfig};
use serde_json::{Map, Value};

use super::evaluate::{Measured, evaluate};
use super::files::{FolderFiles, checksums};
use super::spec::config;
use super::suite::options;
use crate::progress::counter;
use crate::suite::{ConfigError, Evaluation, ExternalFolder, ExternalSet, Name, TrainedOn};

/// The settings of a folder in which an external test may differ from the training data.
const LAYOUT: [&str; 8] = ["images", "image_column", "table", "sheet", "case", "scale", "spacing", "tasks"];
/// The same of a task.
const LAYOUT_OF_TASK: [&str; 9] =
    ["images", "image_column", "mask", "classes", "ignored", "tolerance", "column", "columns", "range"];

pub(super) struct FolderExternal(Folder);

impl FolderExternal {
    /// # Errors
    /// If the layout has a wrong key, or something is wrong with the folder.
    pub(super) fn open(trained: TrainedOn<'_>, external: ExternalFolder<'_>) -> Result<Self> {
        let ours = config(trained.settings)?;
        let theirs = adapted(&ours, external.layout)?;
        let statistics = FolderFiles::statistics(trained.files, trained.seed, ours.tasks.len())?;
        let progress = counter("reading pictures");
        let folder =
            Folder::open_for_test(external.folder, &theirs, (&ours, &statistics), &options(external.cache), &progress)?;
        Ok(Self(folder))
    }
}

impl ExternalSet for FolderExternal {
    fn digest(&self) -> String {
        self.0.fingerprint().to_owned()
    }

    fn files(&self) -> BTreeMap<String, String> {
        let mut files = checksums(&self.0);
        files.retain(|case, _| self.0.cases().iter().any(|known| known.name == *case && known.part.is_some()));
        files
    }

    fn cases(&self) -> Vec<(Name, usize)> {
        let of_task = self.0.tasks().iter().enumerate();
        let of_task = of_task.map(|(task, known)| (known.name.clone().into(), self.0.labelled(task, Part::Test).len()));
        of_task.filter(|(_, cases)| *cases > 0).collect()
    }

    fn notes(&self) -> Vec<String> {
        self.0.notes().to_vec()
    }

    fn measure(&self, network: &dyn Network, parameters: &Parameters) -> Result<Evaluation> {
        evaluate(&self.0, Part::Test, Measured { network, parameters, losses: None }, None)
    }
}

/// The settings of the training data with another layout. An empty text takes a setting away, such as `table = ""` for a folder
/// without a table.
fn adapted(ours: &FolderConfig, layout: &Map<String, Value>) -> Result<FolderConfig> {
    // Neither groups nor parts matter where all cases are tested.
    let plain = FolderConfig { group: None, split: SplitConfig::default(), ..ours.clone() };
    let mut settings = serde_json::to_value(plain)?;
    for (key, value) in layout {
        if !LAYOUT.contains(&key.as_str()) {
            return Err(ConfigError::unknown("key", key, &LAYOUT).into());
        }
        if key == "tasks" {
            tasks(&mut settings["tasks"], value)?;
        } else if let Some(settings) = settings.as_object_mut() {
            replace(settings, key, value);
        }
    }
    serde_json::from_value(settings).map_err(|error| ConfigError::new(error.to_string()).into())
}

/// Replaces the settings of `tasks`, a list, that `layout` has, by the names of the tasks.
fn tasks(tasks: &mut Value, layout: &Value) -> Result<()> {
    let of_tasks = layout.as_object();
    ensure!(
        of_tasks.is_some(),
        "`tasks` is {layout}: expected settings by the names of tasks, such as `tasks.disc.mask`"
    );
    let mut known: BTreeMap<String, &mut Map<String, Value>> = BTreeMap::new();
    for task in tasks.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        let name = task.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        known.insert(name, task);
    }
    for (name, settings) in of_tasks.into_iter().flatten() {
        let Some(task) = known.get_mut(name) else {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            return Err(ConfigError::unknown("task", name, &names).within("`tasks`").into());
        };
        let place = format!("`tasks.{name}`");
        let settings = settings.as_object();
        ensure!(settings.is_some(), "{place} is no table: expected settings such as `tasks.{name}.mask`");
        for (key, value) in settings.into_iter().flatten() {
            if !LAYOUT_OF_TASK.contains(&key.as_str()) {
                return Err(ConfigError::unknown("key", key, &LAYOUT_OF_TASK).within(place).into());
            }
            keep_names(task, key, value);
            replace(task, key, value);
        }
    }
    Ok(())
}

/// If the layout gives `theirs` for the classes or columns `key` of a task, their names and their order stay those of the training
/// data: for cells and columns by the position in the list, for the values of masks by the names of the classes. Without as many
/// of them, or with other names, nothing is kept, and opening the folder tells the difference.
fn keep_names(task: &mut Map<String, Value>, key: &str, theirs: &Value) {
    let known = task.get(key).cloned().unwrap_or_default();
    match (key, known, theirs) {
        ("classes" | "columns", Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            task.entry("names").or_insert(Value::Array(ours));
        }
        ("classes", Value::Object(_), Value::Object(theirs)) => {
            let trained = serde_json::from_value::<TaskConfig>(Value::Object(task.clone()));
            let names = trained.map(|trained| trained.kind.outputs()).unwrap_or_default();
            let is_known = |name: &Value| names.iter().any(|ours| Some(ours.as_str()) == name.as_str());
            let is_used = |name: &String| theirs.values().any(|theirs| theirs.as_str() == Some(name.as_str()));
            if theirs.values().all(is_known) && names.iter().all(is_used) {
                task.insert("order".to_owned(), names.into());
            }
        }
        _ => {}
    }
}

/// Sets `key`, or takes it away if `value` is an empty text. Only one of the two keys for pictures may be there.
fn replace(settings: &mut Map<String, Value>, key: &str, value: &Value) {
    match key {
        "images" => settings.shift_remove("image_column"),
        "image_column" => settings.shift_remove("images"),
        _ => None,
    };
    if value.as_str() == Some("") {
        settings.shift_remove(key);
    } else {
        settings.insert(key.to_owned(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use mtcool_data::folder::TaskKind;
    use serde_json::json;

    use super::*;

    fn ours() -> FolderConfig {
        serde_json::from_value(json!({
            "images": "images/{case}.png",
            "table": "labels.csv",
            "group": "patient",
            "size": [32, 32],
            "split": { "column": "part" },
            "tasks": [
                { "name": "cell", "kind": "segmentation", "mask": "cells/{case}.png", "classes": { "0": "background", "9": "cell" } },
                { "name": "ratio", "kind": "regression", "column": "ratio" },
                { "name": "stage", "kind": "classification", "column": "stage", "classes": [0, 1] },
                { "name": "signs", "kind": "multilabel", "columns": ["red", "blue"] },
            ],
        }))
        .unwrap()
    }

    fn with(layout: Value) -> Result<FolderConfig> {
        adapted(&ours(), layout.as_object().unwrap())
    }

    #[test]
    fn a_layout_replaces_what_it_names() {
        let found = with(json!({
            "image_column": "file",
            "table": "",
            "tasks": { "cell": { "mask": "other/{case}.png", "classes": { "0": "background", "1": "cell" } } },
        }))
        .unwrap();
        assert_eq!((found.images, found.image_column, found.table), (None, Some("file".into()), None));
        assert_eq!((found.group, found.split), (None, SplitConfig::default()));
        let TaskKind::Segmentation { mask, classes, .. } = &found.tasks[0].kind else { panic!("no masks") };
        assert_eq!((mask.as_str(), classes.len()), ("other/{case}.png", 2));
        assert_eq!(found.tasks[1], ours().tasks[1]);
        let plain = with(json!({})).unwrap();
        assert_eq!(FolderConfig { group: Some("patient".into()), split: ours().split, ..plain }, ours());
    }

    #[test]
    fn what_is_coded_otherwise_keeps_the_names_and_the_order_of_the_training_data() {
        let tasks = |layout: Value| with(json!({ "tasks": layout })).unwrap().tasks;
        let outputs = |layout: Value, task: usize| tasks(layout)[task].kind.outputs();
        let inverted = json!({ "cell": { "classes": { "0": "cell", "255": "background" } } });
        assert_eq!(outputs(inverted, 0), ours().tasks[0].kind.outputs());
        assert_eq!(outputs(json!({ "stage": { "classes": ["healthy", "ill"] } }), 2), ["0", "1"]);
        assert_eq!(outputs(json!({ "signs": { "columns": ["rot", "blau"] } }), 3), ["red", "blue"]);
        // Others are others, which opening the folder tells.
        assert_eq!(outputs(json!({ "stage": { "classes": ["a", "b", "c"] } }), 2), ["a", "b", "c"]);
        let foreign = json!({ "cell": { "classes": { "0": "background", "9": "nucleus" } } });
        assert_eq!(outputs(foreign, 0), ["background", "nucleus"]);
    }

    #[test]
    fn keys_that_no_layout_has_are_told() {
        for (layout, expected) in [
            (json!({ "image": "a" }), vec!["`image`", "`images`"]),
            (json!({ "size": [8, 8] }), vec!["`size`"]),
            (json!({ "tasks": { "cells": {} } }), vec!["`cells`", "`cell`"]),
            (json!({ "tasks": { "cell": { "masks": "a" } } }), vec!["`tasks.cell`", "`mask`"]),
            (json!({ "tasks": { "cell": 1 } }), vec!["`tasks.cell` is no table"]),
            (json!({ "tasks": [] }), vec!["by the names of tasks"]),
            (json!({ "scale": "large" }), vec!["large"]),
        ] {
            let message = with(layout).unwrap_err().to_string();
            for expected in expected {
                assert!(message.contains(expected), "no `{expected}` in {message}");
            }
        }
    }
}
