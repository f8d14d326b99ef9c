//! Which of the pictures and masks exist. A mask that does not exist is a missing label; a picture must exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::accents::lookalikes;
use super::cases::CaseEntry;
use super::config::FolderConfig;
use super::label::Label;
use super::notes::{Found, counted, listed};
use super::pattern::Listings;
use super::purpose::Purpose;
use super::sources::Source;
use super::task::TaskKind;
use crate::problems::Problems;

/// Marks masks that exist as labels, takes those that do not out of `cases`, as well as labels of pictures that a case does not
/// have, and tells what is missing. For [`Purpose::ExternalTest`], masks of a task and pictures of some tasks may be missing as a
/// whole.
pub(super) fn check_files(
    root: &Path,
    config: &FolderConfig,
    (sources, purpose): (&[Source], Purpose),
    cases: &mut [CaseEntry],
    found: &mut Found<'_>,
) {
    let Found { problems, notes } = found;
    let is_test = purpose == Purpose::ExternalTest;
    let mut listings = Listings::default();
    notes.extend(unused(cases, &mut listings));
    let others = sources.iter().any(|source| source.files != sources[0].files);
    for (index, source) in sources.iter().enumerate() {
        let is_told = Source::is_known(sources, index);
        let files = cases.iter().map(|case| (case.place(), case.pictures[index].clone()));
        let mut missing: Vec<(String, PathBuf)> = missing(files);
        let wanted = cases.iter().filter(|case| case.pictures[index].is_some()).count();
        let key = source.key();
        if !is_told {
            take_lookalikes(&key, &mut missing, &mut listings, problems);
        }
        if is_test && others && missing.len() == wanted {
            cases.iter_mut().for_each(|case| case.pictures[index] = None);
            notes.push(format!("{key}: no case has a picture"));
        } else if is_told {
            // What is wrong with these files is a problem already.
        } else if wanted == 0 && !cases.is_empty() {
            problems.add(format!("{key}: no case has a picture"), "fill in the column");
        } else if missing.len() == wanted && wanted > 1 {
            problems.add(
                nothing_fits(&key, root, &missing[0], &mut listings),
                "correct the pattern, or the names of the files",
            );
        } else {
            for (place, file) in missing {
                let what = format!("{key}: pictures that do not exist");
                problems.add_place(&what, "add them, or remove the rows", format!("`{}` of {place}", file.display()));
            }
        }
        for &task in &source.tasks {
            let mut without = Vec::new();
            for case in cases.iter_mut().filter(|case| case.pictures[index].is_none()) {
                case.masks[task] = None;
                if case.labels[task].take().is_some() {
                    without.push(case.name.clone());
                }
            }
            if !without.is_empty() {
                let counts = counted(without.len(), "case");
                let name = &config.tasks[task].name;
                notes.push(format!(
                    "{counts} with a label of task `{name}` but without its picture: {}",
                    listed(&without, 5)
                ));
            }
        }
    }
    for (index, task) in config.tasks.iter().enumerate() {
        let TaskKind::Segmentation { mask, .. } = &task.kind else { continue };
        let wanted = cases.iter().filter(|case| case.masks[index].is_some()).count();
        let mut missing = missing(cases.iter().map(|case| (case.place(), case.masks[index].clone())));
        let key = format!("{}`mask` = \"{mask}\"", task.place());
        // Without these masks, their cases would seem to have no label.
        take_lookalikes(&key, &mut missing, &mut listings, problems);
        if missing.len() == wanted && !cases.is_empty() {
            let nothing = match missing.first() {
                Some(first) => nothing_fits(&key, root, first, &mut listings),
                None => format!("{key} names no file: a column in it is empty for every case"),
            };
            if !is_test {
                problems.add(nothing, "correct the pattern, or the names of the files");
                continue;
            }
            notes.push(nothing);
        }
        for case in cases.iter_mut() {
            case.masks[index] = case.masks[index].take().filter(|file| file.is_file());
            case.labels[index] = case.masks[index].is_some().then_some(Label::Mask);
        }
    }
    let unlabelled: Vec<&str> =
        cases.iter().filter(|case| case.labels.iter().all(Option::is_none)).map(|case| case.name.as_str()).collect();
    if !unlabelled.is_empty() {
        let counts = counted(unlabelled.len(), "case");
        notes.push(format!("{counts} without a label of any task, which nothing uses: {}", listed(&unlabelled, 5)));
    }
}

/// The files that do not exist, with their cases.
fn missing(files: impl Iterator<Item = (String, Option<PathBuf>)>) -> Vec<(String, PathBuf)> {
    files.filter_map(|(place, file)| Some((place, file?))).filter(|(_, file)| !file.is_file()).collect()
}

/// Takes those of the `missing` files that other ones look like out of them, and adds a problem for each.
fn take_lookalikes(key: &str, missing: &mut Vec<(String, PathBuf)>, listings: &mut Listings, problems: &mut Problems) {
    let found = lookalikes(missing.iter().map(|(_, file)| file.as_path()), listings);
    for (index, other) in &found {
        let (place, _) = &missing[*index];
        problems.add_place(
            &format!("{key}: files of which the names look right, but an accent in them is another character"),
            "rename the files (`convmv -r -f utf8 -t utf8 --nfc --notest DIR`) or correct the table: macOS and some archives write `ä` \
             as an `a` with a separate accent",
            format!("`{}` of {place}", other.display()),
        );
    }
    for (index, _) in found.iter().rev() {
        missing.remove(*index);
    }
}

/// That a setting gives no file that exists, with the first one that it gives and with those that are there instead.
fn nothing_fits(key: &str, root: &Path, (place, file): &(String, PathBuf), listings: &mut Listings) -> String {
    let folder = file.parent().unwrap_or(root);
    let there: Vec<String> = listings.of(folder).iter().filter_map(|file| name(file)).collect();
    let there = match (folder.is_dir(), &there[..]) {
        (false, _) => format!("there is no folder `{}`", folder.display()),
        (true, []) => format!("`{}` holds no files", folder.display()),
        (true, there) => format!("`{}` holds {}", folder.display(), listed(there, 3)),
    };
    format!("{key} matches no file: {place} gives `{}`, but {there}", file.display())
}

/// A note of pictures and masks that no case uses, in the folders of those that cases use.
fn unused(cases: &[CaseEntry], listings: &mut Listings) -> Option<String> {
    let files = cases.iter().flat_map(|case| case.pictures.iter().chain(&case.masks).flatten());
    let used: BTreeSet<&Path> = files.map(PathBuf::as_path).collect();
    let folders: BTreeSet<&Path> = used.iter().filter_map(|file| file.parent()).collect();
    let extensions: BTreeSet<_> = used.iter().filter_map(|file| file.extension()).collect();
    let is_unused = |file: &&PathBuf| {
        !used.contains(file.as_path()) && file.extension().is_some_and(|extension| extensions.contains(extension))
    };
    let mut unused = Vec::new();
    for folder in folders {
        let place = name(folder);
        let named = |file: &PathBuf| Some(place.iter().cloned().chain(name(file)).collect::<Vec<_>>().join("/"));
        unused.extend(listings.of(folder).iter().filter(is_unused).filter_map(named));
    }
    (!unused.is_empty()).then(|| format!("{} of no case: {}", counted(unused.len(), "file"), listed(&unused, 5)))
}

fn name(file: &Path) -> Option<String> {
    Some(file.file_name()?.to_string_lossy().into_owned())
}
