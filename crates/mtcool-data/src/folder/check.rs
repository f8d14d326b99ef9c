//! Checks the settings of a folder before any file is read.

use std::collections::BTreeSet;

use super::config::{Fit, FolderConfig, SplitConfig, TestPart};
use super::label::MOST_CLASSES;
use super::pattern::Pattern;
use super::purpose::Purpose;
use super::spacing::Spacing;
use super::task::{TaskConfig, TaskKind};
use crate::problems::Problems;

/// The largest number of channels.
const MOST_CHANNELS: usize = 16;
/// The largest side of a network's input in pixels.
const MOST_SIDE: usize = 16_384;
/// The smallest factor by which pictures are scaled.
const LEAST_SCALE: f64 = 1.0 / 64.0;

impl FolderConfig {
    /// Everything in the settings that cannot work, whatever the files are.
    pub fn check(&self) -> Problems {
        self.check_for(Purpose::Experiment)
    }

    /// As [`Self::check`]. For a test of networks that were trained on another folder, labels of a task may be missing as a whole.
    pub(super) fn check_for(&self, purpose: Purpose) -> Problems {
        let mut problems = Problems::default();
        if self.tasks.is_empty() {
            problems.add("`tasks` is empty", "add a table `[[data.settings.tasks]]` for each task");
        }
        if !(1..=MOST_CHANNELS).contains(&self.channels) {
            problems
                .add(format!("`channels` is {}", self.channels), format!("give a number from 1 to {MOST_CHANNELS}"));
        }
        if self.size.contains(&0) {
            problems.add(format!("`size` is {:?}", self.size), "give rows and columns, for example [256, 256]");
        } else if self.size.iter().any(|&side| side > MOST_SIDE) {
            problems.add(
                format!("`size` is {:?}, and no network here reads sides above {MOST_SIDE} pixels", self.size),
                "give rows and columns, for example [256, 256], or cut patches with `fit` = \"patches\"",
            );
        }
        if !(LEAST_SCALE..=1.0 / LEAST_SCALE).contains(&self.scale) {
            let most = 1.0 / LEAST_SCALE;
            problems.add(format!("`scale` is {}", self.scale), format!("give a factor from {LEAST_SCALE} to {most}"));
        } else if self.scale != 1.0 && self.fit == Fit::Resize {
            problems.add(
                format!(
                    "`scale` is {}, but `fit` = \"resize\" gives every picture the size of the network's input",
                    self.scale
                ),
                "leave `scale` out, or take `fit` = \"patches\" or \"crop\"",
            );
        }
        self.check_patches(&mut problems);
        self.check_balanced(&mut problems);
        if let Some(spacing) = &self.spacing {
            spacing.check(&mut problems);
        }
        if let Err(error) = self.augmentation.check() {
            problems.add(format!("`augmentation`: {error}"), "correct the amount");
        }
        check_pictures("", &self.images, &self.image_column, &mut problems);
        let has_pictures = self.images.is_some() || self.image_column.is_some();
        for task in &self.tasks {
            check_pictures(&task.place(), &task.images, &task.image_column, &mut problems);
            if !has_pictures && task.images.is_none() && task.image_column.is_none() {
                problems.add(
                    format!("{}neither the folder nor the task says where the pictures are", task.place()),
                    "give `images`, for example \"images/{case}.png\"",
                );
            }
            task.check(&mut problems);
        }
        let mut names = BTreeSet::new();
        for TaskConfig { name, .. } in &self.tasks {
            if !names.insert(name) {
                problems.add(format!("two tasks are named `{name}`"), "give each task a name of its own");
            }
        }
        if self.table.is_none() {
            self.check_without_table(purpose, &mut problems);
        }
        self.split.check(&mut problems);
        problems
    }

    fn check_balanced(&self, problems: &mut Problems) {
        let Some(name) = &self.balanced else { return };
        let is_classes = |task: &&TaskConfig| matches!(task.kind, TaskKind::Classification { .. });
        if !self.tasks.iter().filter(is_classes).any(|task| task.name == *name) {
            let names: Vec<String> =
                self.tasks.iter().filter(is_classes).map(|task| format!("`{}`", task.name)).collect();
            let remedy = if names.is_empty() {
                "leave it out, since there is no classification task".to_owned()
            } else {
                format!("name one of {}", names.join(", "))
            };
            problems.add(format!("`balanced` = \"{name}\" is no classification task"), remedy);
        }
    }

    fn check_without_table(&self, purpose: Purpose, problems: &mut Problems) {
        let of_tasks = self.tasks.iter().filter(|_| purpose == Purpose::Experiment);
        let columns = of_tasks.flat_map(|task| {
            let own = task.image_column.iter().map(String::as_str);
            own.chain(task.kind.columns()).map(move |column| format!("{}column `{column}`", task.place()))
        });
        let of_set =
            [("image_column", &self.image_column), ("group", &self.group), ("split.column", &self.split.column)];
        let named = of_set.into_iter().filter_map(|(key, column)| Some(format!("`{key}` = \"{}\"", column.as_ref()?)));
        let of_pixels = self.spacing.as_ref().and_then(Spacing::columns).into_iter().flatten();
        let of_pixels = of_pixels.map(|column| format!("`spacing`: column `{column}`"));
        for column in named.chain(of_pixels).chain(columns) {
            problems.add_place(
                "a column is named, but there is no table",
                "name the file with the key `table`",
                column,
            );
        }
        if self.images.is_none() {
            problems.add("there is neither `table` nor `images`", "the cases are the table's rows, or the pictures");
        }
    }
}

/// The names of columns, classes and files belong to one task.
impl TaskConfig {
    /// The beginning of messages about this task.
    pub(super) fn place(&self) -> String {
        format!("task `{}`: ", self.name)
    }

    fn check(&self, problems: &mut Problems) {
        let mut wrong = |what: String, remedy: &str| problems.add(format!("{}{what}", self.place()), remedy);
        let is_usual = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
        if self.name.is_empty() || !self.name.chars().all(is_usual) {
            wrong("the name is not usable".into(), "use letters, digits, `_` and `-`, for it names columns and files");
        }
        if let Some(kept) = self.kept
            && !(kept > 0.0 && kept <= 1.0)
        {
            wrong(
                format!("`kept` is {kept}"),
                "give the share of the training labels that is kept, above 0 and at most 1",
            );
        }
        let outputs = self.kind.outputs();
        let doubled = (1..outputs.len()).find(|&index| outputs[..index].contains(&outputs[index]));
        if let Some(index) = doubled {
            wrong(format!("`{}` is listed twice", outputs[index]), "list each once");
        }
        if outputs.len() > MOST_CLASSES {
            wrong(format!("{} classes", outputs.len()), "at most 255 are possible");
        }
        match &self.kind {
            TaskKind::Segmentation { mask, classes, order, ignored, regions, .. } => {
                let is_class = |name: &String| classes.values().any(|class| class == name);
                let is_whole = order.iter().all(is_class) && classes.values().all(|name| order.contains(name));
                if !(order.is_empty() || is_whole) {
                    wrong(format!("`order` is {order:?}"), "list each class of `classes` once, and nothing else");
                }
                if outputs.len() < 2 {
                    wrong(format!("`classes` names {} class", outputs.len()), "list the background and a structure");
                }
                if let Some(value) = ignored.iter().find(|value| classes.contains_key(*value)) {
                    wrong(format!("value {value} is in `classes` and in `ignored`"), "take it out of one of them");
                }
                for (region, parts) in regions {
                    if let Some(part) = parts.iter().find(|part| !outputs.contains(part)) {
                        wrong(format!("`regions.{region}` names `{part}`, which is no class"), "name classes");
                    }
                    if parts.is_empty() || outputs.contains(region) {
                        wrong(format!("`regions.{region}` is empty or has the name of a class"), "correct it");
                    }
                }
                if let Err(reason) = Pattern::parse(mask) {
                    wrong(format!("`mask` = \"{mask}\": {reason}"), "correct the pattern");
                }
            }
            TaskKind::Classification { classes, names, .. } => {
                if classes.len() < 2 {
                    wrong(format!("`classes` names {} class", classes.len()), "list at least two contents of cells");
                }
                if !names.is_empty() && names.len() != classes.len() {
                    let counts = format!("{} `names` for {} `classes`", names.len(), classes.len());
                    wrong(counts, "give as many names as classes, in the same order");
                }
                let mut earlier = classes.iter().enumerate();
                // Equal texts are outputs of the same name, which is told above.
                let is_told = names.is_empty() && doubled.is_some();
                if !is_told
                    && let Some((_, class)) = earlier
                        .find(|(index, class)| classes[..*index].iter().any(|other| other.is(&class.to_string())))
                {
                    wrong(format!("class `{class}` is listed twice"), "list each content of a cell once");
                }
            }
            TaskKind::Multilabel { columns, .. } if columns.is_empty() => {
                wrong("`columns` is empty".into(), "name one column for each property");
            }
            TaskKind::Multilabel { columns, names } if !names.is_empty() && names.len() != columns.len() => {
                let counts = format!("{} `names` for {} `columns`", names.len(), columns.len());
                wrong(counts, "give as many names as columns, in the same order");
            }
            TaskKind::Multilabel { .. } => {}
            TaskKind::Regression { range: Some([least, most]), .. } if least >= most || !(most - least).is_finite() => {
                wrong(format!("`range` is [{least}, {most}]"), "give the smallest number first, then the largest");
            }
            TaskKind::Regression { .. } => {}
        }
    }
}

/// Checks where pictures are, for the folder or for one task.
fn check_pictures(place: &str, images: &Option<String>, column: &Option<String>, problems: &mut Problems) {
    if images.is_some() && column.is_some() {
        problems.add(format!("{place}`images` and `image_column` are both given"), "give one of them");
    }
    if let Some(Err(reason)) = images.as_ref().map(|text| Pattern::parse(text)) {
        let text = images.as_deref().unwrap_or_default();
        problems.add(format!("{place}`images` = \"{text}\": {reason}"), "correct the pattern");
    }
}

impl SplitConfig {
    fn check(&self, problems: &mut Problems) {
        let mut wrong = |what: String, remedy: &str| problems.add(format!("`split.{what}"), remedy);
        if !(self.validation > 0.0 && self.validation < 1.0) {
            wrong(format!("validation` is {}", self.validation), "give a fraction between 0 and 1");
        }
        if let TestPart::Fraction(fraction) = self.test
            && !(fraction > 0.0 && fraction < 1.0)
        {
            wrong(format!("test` is {fraction}"), "give a fraction between 0 and 1, or \"none\"");
        }
        match self.folds {
            Some(folds) if folds < 2 => wrong(format!("folds` is {folds}"), "give at least 2"),
            Some(folds) if self.fold >= folds => {
                wrong(
                    format!("fold` is {}", self.fold),
                    "folds are counted from 0, so it must be less than `split.folds`",
                );
            }
            Some(_) if self.column.is_some() => {
                wrong("folds` and `split.column` are both given".into(), "folds are drawn: leave out one of them");
            }
            None if self.fold != 0 => wrong(format!("fold` is {}", self.fold), "give `split.folds` as well"),
            _ => {}
        }
    }
}
