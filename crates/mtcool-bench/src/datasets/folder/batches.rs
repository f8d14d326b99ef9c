//! The training batches of a folder's tasks.
//!
//! Tasks with the same pictures share their batches, so that the network computes their features once. Tasks with other pictures,
//! or with whole pictures where others see patches, have batches and epochs of their own.

use std::sync::Arc;

use anyhow::{Context, Result};
use candle_core::Device;
use mtcool_core::{BatchSource, batches};
use mtcool_data::folder::{Fit, Folder, FolderSamples, FolderTask, Part};
use mtcool_data::{LoaderConfig, SharedLoader};

use super::super::batches::batch;

/// Tasks that share their pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// The tasks, ascending.
    pub(super) tasks: Vec<usize>,
}

impl Group {
    /// The groups of all tasks of `folder`.
    pub(super) fn all(folder: &Folder) -> Vec<Self> {
        Self::of_tasks(folder.tasks(), &(0..folder.tasks().len()).collect::<Vec<_>>())
    }

    /// The groups of the tasks `asked`, ascending, among `tasks`.
    pub(super) fn of_tasks(tasks: &[FolderTask], asked: &[usize]) -> Vec<Self> {
        let mut groups: Vec<(usize, Self)> = Vec::new();
        for &task in asked {
            match groups.iter_mut().find(|(source, _)| *source == tasks[task].source) {
                Some((_, group)) => group.tasks.push(task),
                None => groups.push((tasks[task].source, Self { tasks: vec![task] })),
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }

    /// The cases of `part` that have a label of at least one of the tasks.
    pub(super) fn cases(&self, folder: &Folder, part: Part) -> Vec<u32> {
        let has_label = |case: &u32| self.tasks.iter().any(|&task| folder.label(task, *case as usize).is_some());
        folder.parts().of(part).iter().copied().filter(has_label).collect()
    }

    /// The cases to train on, each as often as an epoch takes patches of its picture.
    pub(super) fn training(&self, folder: &Folder) -> Vec<u32> {
        let times = if self.fit(folder) == Fit::Patches { folder.config().patches_per_image } else { 1 };
        self.cases(folder, Part::Train).repeat(times)
    }

    /// How the pictures of the tasks get the size of the network's input.
    pub(super) fn fit(&self, folder: &Folder) -> Fit {
        self.tasks.first().map_or(folder.config().fit, |&task| folder.tasks()[task].fit)
    }

    /// The names of the tasks, for messages.
    pub(super) fn names(&self, folder: &Folder) -> String {
        let names: Vec<String> = self.tasks.iter().map(|&task| format!("`{}`", folder.tasks()[task].name)).collect();
        names.join(", ")
    }
}

/// The batches of all tasks, from batch `position` of each.
///
/// # Errors
/// If the batch size does not fit the cases of a group.
pub(super) fn training_batches(
    folder: &Folder,
    device: &Device,
    (batch_size, seed, position): (usize, u64, u64),
) -> Result<Box<dyn BatchSource>> {
    let mut loaders = Vec::new();
    let mut places = vec![(0, 0); folder.tasks().len()];
    for (number, group) in Group::all(folder).iter().enumerate() {
        let samples = FolderSamples::training(folder, &group.tasks, &group.training(folder))?;
        let config = LoaderConfig { batch_size, seed, stream: number as u64 };
        let loader = SharedLoader::on(device, Arc::new(samples), config, position);
        loaders.push(loader.with_context(|| format!("training cases of {}", group.names(folder)))?);
        for (index, &task) in group.tasks.iter().enumerate() {
            places[task] = (number, index);
        }
    }
    Ok(Box::new(batches::from_fn(move |task| {
        let (group, index) = places[task];
        loaders[group].next(index).map(batch)
    })))
}
