//! Where the pictures of the tasks come from: one source for all tasks, or several.

use super::config::{Fit, FolderConfig};
use super::notes::near_names;
use super::pattern::{CASE, Pattern};
use super::table::Table;
use crate::problems::Problems;

/// Where the pictures of some tasks come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) files: SourceFiles,
    /// How they get the size of the network's input.
    pub(super) fit: Fit,
    /// The tasks whose pictures these are.
    pub(super) tasks: Vec<usize>,
}

/// How the file of a case is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SourceFiles {
    /// By a pattern.
    Pattern(Pattern),
    /// By a column with this name.
    Column(String),
}

impl FolderConfig {
    /// For each task a number: tasks with the same number have the same pictures.
    pub fn picture_sources(&self) -> Vec<usize> {
        let sources = Source::all(self);
        let of_task = |task: usize| sources.iter().position(|source| source.tasks.contains(&task)).unwrap_or(0);
        (0..self.tasks.len()).map(of_task).collect()
    }

    /// For each task a number: the pictures of tasks with the same number are the same files, which the tasks may see at different
    /// sizes.
    pub fn picture_files(&self) -> Vec<usize> {
        let sources = Source::all(self);
        let same_files = |of: usize| sources.iter().position(|source| source.files == sources[of].files).unwrap_or(of);
        self.picture_sources().into_iter().map(|of| if of < sources.len() { same_files(of) } else { of }).collect()
    }
}

impl Source {
    /// All sources of `config`, whose settings are correct. The first one is that of the folder, if any task uses it.
    pub(super) fn all(config: &FolderConfig) -> Vec<Self> {
        let files = |images: &Option<String>, column: &Option<String>| match (images, column) {
            (Some(text), _) => Pattern::parse(text).ok().map(SourceFiles::Pattern),
            (None, Some(column)) => Some(SourceFiles::Column(column.clone())),
            (None, None) => None,
        };
        let of_folder = files(&config.images, &config.image_column);
        let of_all = |files: SourceFiles| Self { files, fit: config.fit, tasks: Vec::new() };
        let mut sources: Vec<Self> = of_folder.iter().cloned().map(of_all).collect();
        for (index, task) in config.tasks.iter().enumerate() {
            let Some(files) = files(&task.images, &task.image_column).or(of_folder.clone()) else { continue };
            let fit = config.fit_of(&task.kind);
            match sources.iter_mut().find(|source| source.files == files && source.fit == fit) {
                Some(source) => source.tasks.push(index),
                None => sources.push(Self { files, fit, tasks: vec![index] }),
            }
        }
        sources.retain(|source| !source.tasks.is_empty());
        sources
    }

    /// Whether an earlier one of `sources` than number `index` has the same files, whose mistakes are told already.
    pub(super) fn is_known(sources: &[Self], index: usize) -> bool {
        sources[..index].iter().any(|earlier| earlier.files == sources[index].files)
    }

    /// The setting that says where the files are, for messages.
    pub(super) fn key(&self) -> String {
        match &self.files {
            SourceFiles::Pattern(pattern) => format!("`images` = \"{}\"", pattern.text()),
            SourceFiles::Column(column) => format!("`image_column` = \"{column}\""),
        }
    }
}

/// Adds a problem for each column that a pattern names and `table` does not have.
pub(super) fn check_places(key: &str, pattern: &Pattern, table: Option<&Table>, problems: &mut Problems) {
    let header: Vec<&str> = table.map_or_else(Vec::new, |table| table.header.iter().map(String::as_str).collect());
    for place in pattern.places().filter(|place| *place != CASE && !header.contains(place)) {
        let near = near_names(place, &header, "columns");
        let near = if header.is_empty() { "there is no table".into() } else { near };
        problems.add(format!("{key}: no column `{place}`; {near}"), "write `{case}`, or the name of a column");
    }
}
