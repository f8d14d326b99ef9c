//! Finds each photograph's files in the official folders, or in doubled or repacked ones, by the files' own names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::inventory::{Found, FoundFiles, Inventory};
use super::labels;
use super::manifest::RefugeManifest;
use super::names::{Counts, Name};
use crate::error::{Error, Result, at};
use crate::files::is_transient;
use crate::finding::ProblemKind;

/// Folders that are nested more deeply than this are ignored.
const DEEPEST: usize = 10;
/// Folders of other data sets and of archive programs that come in the same archives.
const OTHER_FOLDERS: [&str; 3] = ["AMD", "Non-AMD", "__MACOSX"];

/// Finds the files of `folder` and lists what is missing, doubled, mislabelled or foreign.
///
/// # Errors
/// If there is no photograph of the set at all, or a folder cannot be read.
pub(super) fn scan(folder: &Path) -> Result<Inventory> {
    let missing = || Error::Missing {
        dataset: "REFUGE2018",
        folder: folder.to_owned(),
        missing: "photographs such as Training400/Glaucoma/g0001.jpg".into(),
        remedy: "unpack the official archives there (after registration on refuge.grand-challenge.org), or name their folder \
                 with `--data DIR`, or use `--data synth`",
    };
    if !folder.is_dir() {
        return Err(missing());
    }
    let manifest = RefugeManifest::read(folder)?;
    let mut files = FoundFiles::default();
    let mut lossless = BTreeMap::new();
    walk(folder, 0, &mut files, &mut lossless)?;
    sort_lossless(folder, lossless, &mut files);
    if files.images.is_empty() {
        return Err(missing());
    }
    let mut inventory = Inventory { folder: folder.to_owned(), manifest, found: Vec::new(), findings: Vec::new() };
    inventory.sort_out(&files)?;
    Ok(inventory)
}

/// Files of formats without losses, of which some are masks.
type Lossless = BTreeMap<Name, Vec<PathBuf>>;

fn walk(folder: &Path, depth: usize, files: &mut FoundFiles, lossless: &mut Lossless) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>).map_err(at(folder))?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if is_transient(&name) || OTHER_FOLDERS.iter().any(|other| name.eq_ignore_ascii_case(other)) {
            continue;
        }
        if path.is_dir() {
            if depth < DEEPEST {
                walk(&path, depth + 1, files, lossless)?;
            }
            continue;
        }
        let stem = Name::parse(&path.file_stem().unwrap_or_default().to_string_lossy());
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match (extension.as_str(), stem) {
            ("jpg" | "jpeg", Some(name)) => files.images.entry(name).or_default().push(path),
            ("bmp" | "png" | "tif" | "tiff", Some(name)) => lossless.entry(name).or_default().push(path),
            ("jpg" | "jpeg" | "bmp" | "png" | "tif" | "tiff", None) => files.unknown.push(path),
            ("xlsx" | "xls", _) => files.spreadsheets.push(path),
            _ => {}
        }
    }
    Ok(())
}

/// Tells masks from photographs. A file in a folder of masks is a mask; of the others, one is a photograph if there is no JPEG
/// file of its name.
fn sort_lossless(root: &Path, lossless: Lossless, files: &mut FoundFiles) {
    for (name, paths) in lossless {
        let has_photograph = files.images.contains_key(&name);
        for path in paths {
            let kind = if has_photograph || is_among_masks(root, &path) { &mut files.masks } else { &mut files.images };
            kind.entry(name).or_default().push(path);
        }
    }
}

/// Whether a folder below `root` in which `file` lies is called as folders of masks are.
fn is_among_masks(root: &Path, file: &Path) -> bool {
    const WORDS: [&str; 4] = ["mask", "annotation", "label", "segmentation"];
    let inside = file.strip_prefix(root).unwrap_or(file).parent().unwrap_or(Path::new(""));
    inside.iter().any(|folder| {
        let folder = folder.to_string_lossy().to_ascii_lowercase();
        WORDS.iter().any(|word| folder.contains(word)) || folder.ends_with("gt")
    })
}

impl Inventory {
    fn sort_out(&mut self, files: &FoundFiles) -> Result<()> {
        let expected: BTreeSet<Name> =
            self.manifest.as_ref().map_or(Counts::OFFICIAL, RefugeManifest::counts).names().collect();
        let glaucoma = labels::find(self, files, &expected)?;
        for &name in &expected {
            let known = glaucoma.get(&name).copied();
            let image = self.only_one(&files.images, name, &name.image(), "photograph")?;
            let mask = self.only_one(&files.masks, name, &name.mask(known), "mask")?;
            self.found.push(Found { name, glaucoma: known, image, mask });
        }
        self.report_foreign(files, &expected);
        Ok(())
    }

    /// The file of `name`; adds a finding if it is missing from `place` or there more than once.
    fn only_one(
        &mut self,
        files: &BTreeMap<Name, Vec<PathBuf>>,
        name: Name,
        place: &Path,
        what: &str,
    ) -> Result<Option<PathBuf>> {
        let Some((first, others)) = files.get(&name).and_then(|paths| paths.split_first()) else {
            let detail = format!("no {what} of this name anywhere in the folder; unpack the official archive again");
            let finding = self.finding(place, ProblemKind::Missing, true, detail);
            self.findings.push(finding);
            return Ok(None);
        };
        for other in others {
            let same = std::fs::read(first).map_err(at(first))? == std::fs::read(other).map_err(at(other))?;
            let first = first.strip_prefix(&self.folder).unwrap_or(first).display();
            let detail = if same {
                format!("the same bytes as {first}, which is used")
            } else {
                format!("another {what} than {first}; keep one of the two")
            };
            let finding = self.finding(other, ProblemKind::Doubled, !same, detail);
            self.findings.push(finding);
        }
        Ok(Some(first.clone()))
    }

    /// Adds one note per folder about files that do not belong to the set.
    fn report_foreign(&mut self, files: &FoundFiles, expected: &BTreeSet<Name>) {
        let named = files.images.iter().chain(&files.masks).filter(|(name, _)| !expected.contains(name));
        let mut folders: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
        for path in named.flat_map(|(_, paths)| paths).chain(&files.unknown) {
            folders.entry(path.parent().unwrap_or(path)).or_default().push(path);
        }
        for (folder, paths) in folders {
            let example = paths[0].file_name().unwrap_or_default().to_string_lossy().into_owned();
            let detail =
                format!("{} pictures of no photograph of the set, such as {example}, are ignored", paths.len());
            let finding = self.finding(folder, ProblemKind::Foreign, false, detail);
            self.findings.push(finding);
        }
    }
}
