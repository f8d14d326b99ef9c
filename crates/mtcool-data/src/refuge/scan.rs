//! Which file is which photograph's: the official folders, doubled or repacked ones, found by the files' own names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::labels;
use super::manifest::Manifest;
use super::names::{Counts, Name, Part};
use super::report::{Report, summarise};
use crate::error::{Error, Result, at};
use crate::finding::{Finding, Problem};
use crate::mnist::Origin;

/// Folders deeper than this are not looked into.
const DEEPEST: usize = 10;
/// Folders of other data sets, and of archive programs, that come in the same archives.
const OTHER_FOLDERS: [&str; 3] = ["AMD", "Non-AMD", "__MACOSX"];

/// What there is of a photograph.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) name: Name,
    pub(super) glaucoma: Option<bool>,
    pub(super) image: Option<PathBuf>,
    pub(super) mask: Option<PathBuf>,
}

/// What a folder holds, by names alone: no picture has been decoded.
#[derive(Debug)]
pub(super) struct Inventory {
    pub(super) folder: PathBuf,
    pub(super) manifest: Option<Manifest>,
    pub(super) found: Vec<Found>,
    pub(super) findings: Vec<Finding>,
}

/// All files that may matter, by what they are.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) images: BTreeMap<Name, Vec<PathBuf>>,
    pub(super) masks: BTreeMap<Name, Vec<PathBuf>>,
    pub(super) spreadsheets: Vec<PathBuf>,
    /// Pictures with other names.
    unknown: Vec<PathBuf>,
}

/// Finds the files of `folder` and says what is missing, doubled, mislabelled or foreign.
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
    let manifest = Manifest::read(folder)?;
    let mut files = Files::default();
    walk(folder, 0, &mut files)?;
    if files.images.is_empty() {
        return Err(missing());
    }
    let mut inventory = Inventory { folder: folder.to_owned(), manifest, found: Vec::new(), findings: Vec::new() };
    inventory.sort_out(&files)?;
    Ok(inventory)
}

fn walk(folder: &Path, depth: usize, files: &mut Files) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>).map_err(at(folder))?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Hidden files are those of file managers, `._g0001.jpg` among them.
        if name.starts_with('.') || OTHER_FOLDERS.iter().any(|other| name.eq_ignore_ascii_case(other)) {
            continue;
        }
        if path.is_dir() {
            if depth < DEEPEST {
                walk(&path, depth + 1, files)?;
            }
            continue;
        }
        let stem = Name::parse(&path.file_stem().unwrap_or_default().to_string_lossy());
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match (extension.as_str(), stem) {
            ("jpg" | "jpeg", Some(name)) => files.images.entry(name).or_default().push(path),
            ("bmp" | "png", Some(name)) => files.masks.entry(name).or_default().push(path),
            ("jpg" | "jpeg" | "bmp" | "png", None) => files.unknown.push(path),
            ("xlsx" | "xls", _) => files.spreadsheets.push(path),
            _ => {}
        }
    }
    Ok(())
}

impl Inventory {
    /// Whether the photographs are real, as far as the manifest says.
    pub(super) fn origin(&self) -> Origin {
        self.manifest.as_ref().map_or(Origin::Real, Manifest::origin)
    }

    /// The findings so far and `more`, for reading.
    pub(super) fn report(&self, more: Vec<Finding>) -> Report {
        let findings = summarise([self.findings.clone(), more].concat());
        let complete = Part::ALL.map(|part| {
            let complete = self.found.iter().filter(|found| found.image.is_some() && found.mask.is_some());
            let known = complete.filter(|found| found.name.part() == part).filter_map(|found| found.glaucoma);
            known.fold((0, 0), |(count, glaucoma), this| (count + 1, glaucoma + usize::from(this)))
        });
        Report { folder: self.folder.clone(), origin: self.origin(), complete, findings }
    }

    pub(super) fn finding(&self, path: &Path, problem: Problem, is_defect: bool, detail: String) -> Finding {
        let finding = if is_defect { Finding::defect } else { Finding::note };
        finding(&self.folder, path, problem, detail)
    }

    fn sort_out(&mut self, files: &Files) -> Result<()> {
        let expected: BTreeSet<Name> =
            self.manifest.as_ref().map_or(Counts::OFFICIAL, Manifest::counts).names().collect();
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

    /// The file of `name`; says if it is missing from `place` or there more than once.
    fn only_one(
        &mut self,
        files: &BTreeMap<Name, Vec<PathBuf>>,
        name: Name,
        place: &Path,
        what: &str,
    ) -> Result<Option<PathBuf>> {
        let Some((first, others)) = files.get(&name).and_then(|paths| paths.split_first()) else {
            let detail = format!("no {what} of this name anywhere in the folder; unpack the official archive again");
            let finding = self.finding(place, Problem::Missing, true, detail);
            self.findings.push(finding);
            return Ok(None);
        };
        for other in others {
            let same = std::fs::read(first).map_err(at(first))? == std::fs::read(other).map_err(at(other))?;
            let first = first.strip_prefix(&self.folder).unwrap_or(first).display();
            let detail = match same {
                true => format!("the same bytes as {first}, which is used"),
                false => format!("another {what} than {first}; keep one of the two"),
            };
            let finding = self.finding(other, Problem::Doubled, !same, detail);
            self.findings.push(finding);
        }
        Ok(Some(first.clone()))
    }

    /// One note a folder.
    fn report_foreign(&mut self, files: &Files, expected: &BTreeSet<Name>) {
        let named = files.images.iter().chain(&files.masks).filter(|(name, _)| !expected.contains(name));
        let mut folders: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
        for path in named.flat_map(|(_, paths)| paths).chain(&files.unknown) {
            folders.entry(path.parent().unwrap_or(path)).or_default().push(path);
        }
        for (folder, paths) in folders {
            let example = paths[0].file_name().unwrap_or_default().to_string_lossy().into_owned();
            let detail =
                format!("{} pictures of no photograph of the set, such as {example}, are ignored", paths.len());
            let finding = self.finding(folder, Problem::Foreign, false, detail);
            self.findings.push(finding);
        }
    }
}
