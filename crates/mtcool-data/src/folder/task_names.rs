//! Names for suggested tasks.

use super::config::FolderConfig;

/// A name for the task of masks of this pattern: what follows the case's name, or the folder's name.
pub(super) fn mask_name(pattern: &str) -> String {
    const GENERAL: [&str; 11] =
        ["mask", "masks", "label", "labels", "gt", "seg", "segmentation", "annotation", "annotations", "truth", ""];
    let (before, after) = pattern.split_once("{case}").unwrap_or((pattern, ""));
    let letters = |text: &str| text.trim_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase();
    let suffix = letters(after.rsplit_once('.').map_or(after, |(stem, _)| stem));
    let folder = letters(before.rsplit('/').nth(1).unwrap_or_default());
    let name = [suffix, folder].into_iter().find(|name| !GENERAL.contains(&name.as_str()));
    name.unwrap_or_else(|| "segmentation".into())
}

/// `wanted` in the letters that names may have, with a number if there is such a task already.
pub(super) fn free_name(config: &FolderConfig, wanted: &str) -> String {
    let usual = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    let wanted: String = wanted.chars().map(usual).collect();
    let is_free = |name: &String| !config.tasks.iter().any(|task| task.name == *name);
    let numbered = (2..).map(|number| format!("{wanted}_{number}"));
    std::iter::once(wanted.clone()).chain(numbered).find(is_free).unwrap_or(wanted)
}
