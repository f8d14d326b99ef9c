//! Labels of the training part that are removed at random, to see what a task with fewer labels costs.

use std::collections::BTreeMap;

use super::cases::CaseEntry;
use super::config::FolderConfig;
use super::label::Label;
use super::parts::Part;
use crate::files::sha256;

/// Removes labels of training cases as `kept` of each task says, and returns the number of labels removed from each task.
///
/// Whether a label is kept follows from the seed of the split, the names of task and case, and the share: what is kept of a
/// smaller share is also kept of a larger one. Of a classification, the same share of each class is kept. At least one label of
/// each class, or of the task, is left.
pub(super) fn remove_labels(config: &FolderConfig, cases: &mut [CaseEntry], parts: &[Option<Part>]) -> Vec<usize> {
    let mut removed = vec![0; config.tasks.len()];
    for (task, settings) in config.tasks.iter().enumerate() {
        let Some(kept) = settings.kept else { continue };
        let mut strata: BTreeMap<Option<u8>, Vec<usize>> = BTreeMap::new();
        for (index, case) in cases.iter().enumerate().filter(|(index, _)| parts[*index] == Some(Part::Train)) {
            match case.labels[task] {
                None => {}
                Some(Label::Class(class)) => strata.entry(Some(class)).or_default().push(index),
                Some(_) => strata.entry(None).or_default().push(index),
            }
        }
        for mut members in strata.into_values() {
            let left = ((members.len() as f64 * kept).round() as usize).max(1);
            let place = |&index: &usize| {
                sha256(format!("{}\n{}\n{}", config.split.seed, settings.name, cases[index].name).as_bytes())
            };
            members.sort_by_cached_key(place);
            for &index in members.iter().skip(left) {
                cases[index].labels[task] = None;
                cases[index].masks[task] = None;
                removed[task] += 1;
            }
        }
    }
    removed
}
