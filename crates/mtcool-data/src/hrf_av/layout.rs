//! The files of a folder, and which file plays which role for which photograph.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::checksums;
use super::manifest::origin;
use super::names::{PhotographId, Role};
use crate::error::{Error, Result, at};
use crate::files::{is_transient, sha256_of};
use crate::finding::{Defects, Finding, ProblemKind};
use crate::manifest::MANIFEST;
use crate::origin::Origin;

/// The files of one photograph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PhotographPaths {
    /// Its photograph.
    pub(super) image: PathBuf,
    /// Its field of view.
    pub(super) field: PathBuf,
    /// Its arteries and veins.
    pub(super) labels: PathBuf,
    /// Its vessels, if the folder has them.
    pub(super) vessels: Option<PathBuf>,
}

impl PhotographPaths {
    /// The files whose content is not that of the published files of `id`. A file that cannot be read counts as one of them.
    pub(super) fn unpublished(&self, id: PhotographId) -> Vec<PathBuf> {
        let files = [(Role::Image, &self.image), (Role::Field, &self.field), (Role::Labels, &self.labels)];
        let is_other =
            |(role, file): &(Role, &PathBuf)| sha256_of(file).ok().as_deref() != checksums::of(&role.path(id));
        files.into_iter().filter(is_other).map(|(_, file)| file.clone()).collect()
    }
}

/// All files in a folder that play a role, whatever the case of their names and the format of the pictures.
pub(super) struct Layout {
    pub(super) folder: PathBuf,
    /// Whether the folder's manifest says that its photographs were drawn.
    pub(super) is_drawn: bool,
    found: BTreeMap<(Role, String), Vec<PathBuf>>,
}

impl Layout {
    /// Lists the files of the official folders.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is no folder of photographs; [`Error::Corrupt`] if the manifest of a drawn set is damaged;
    /// [`Error::Io`] if a folder cannot be read.
    pub(super) fn scan(folder: &Path) -> Result<Self> {
        if !folder.join(Role::Image.folder()).is_dir() {
            return Err(Error::Missing {
                dataset: "HRF-AV",
                folder: folder.to_owned(),
                missing: "the folder `images`".into(),
                remedy: "run `cargo xtask data fetch hrf-av`, or name the folder that holds `images`, `mask` and `HRF_AV_GT` \
                         with `--data DIR`, or use `--data synth`",
            });
        }
        let mut found: BTreeMap<_, Vec<PathBuf>> = BTreeMap::new();
        for role in Role::ALL {
            let part = folder.join(role.folder());
            if !part.is_dir() {
                continue;
            }
            for entry in std::fs::read_dir(&part).map_err(at(&part))? {
                let path = entry.map_err(at(&part))?.path();
                if path.file_name().is_some_and(|name| is_transient(&name.to_string_lossy())) {
                    continue;
                }
                let lower = |text: Option<&std::ffi::OsStr>| Some(text?.to_str()?.to_ascii_lowercase());
                let extension = lower(path.extension());
                let is_picture = matches!(extension.as_deref(), Some("jpg" | "jpeg" | "png" | "tif" | "tiff"));
                if let (true, Some(stem)) = (is_picture, lower(path.file_stem())) {
                    found.entry((role, stem)).or_default().push(path);
                }
            }
        }
        found.values_mut().for_each(|files| files.sort());
        let is_drawn = origin(folder)?.0 != Origin::Real;
        Ok(Self { folder: folder.to_owned(), is_drawn, found })
    }

    /// The error that refuses a set because of `findings`.
    pub(super) fn defective(&self, findings: Vec<Finding>) -> Error {
        Error::Defective(Box::new(Defects {
            dataset: "HRF-AV",
            folder: self.folder.clone(),
            findings,
            remedy: format!(
                "Repair or replace them; `cargo xtask data verify hrf-av --data {}` lists all",
                self.folder.display()
            ),
        }))
    }

    /// The error that refuses a set because of `findings`, although it has photographs without a defect.
    pub(super) fn partly_defective(&self, findings: Vec<Finding>) -> Error {
        match self.defective(findings) {
            Error::Defective(mut defects) => {
                defects.remedy +=
                    ", and `--set data.settings.on_damage=leave_out` trains without the photographs that have a defect";
                Error::Defective(defects)
            }
            other => other,
        }
    }

    /// A problem of `file` that must be solved.
    pub(super) fn defect(&self, file: &Path, problem: ProblemKind, detail: impl Into<String>) -> Finding {
        Finding::defect(&self.folder, file, problem, detail)
    }

    /// The finding about a photograph that is marked as drawn in a folder that is not.
    pub(super) fn undeclared(&self, file: &Path) -> Finding {
        Finding::undeclared(&self.folder, file, MANIFEST)
    }

    /// The files of `id`, or a finding for every file that is missing or doubled.
    pub(super) fn files(&self, id: PhotographId) -> Result<PhotographPaths, Vec<Finding>> {
        let mut problems = Vec::new();
        let mut of = |role: Role| {
            let stem = role.stem(id).to_ascii_lowercase();
            match self.found.get(&(role, stem)).map_or(&[][..], Vec::as_slice) {
                [file] => Some(file.clone()),
                [] if role == Role::Vessels => None,
                [] => {
                    let detail = format!("no file of this name, in any case or format, in `{}`", role.folder());
                    problems.push(self.defect(&role.path(id), ProblemKind::Missing, detail));
                    None
                }
                [first, others @ ..] => {
                    let first = first.strip_prefix(&self.folder).unwrap_or(first).display();
                    let detail = format!("by `{first}`; remove one of them");
                    problems.extend(others.iter().map(|other| self.defect(other, ProblemKind::Doubled, &*detail)));
                    None
                }
            }
        };
        let (image, field, labels, vessels) = (of(Role::Image), of(Role::Field), of(Role::Labels), of(Role::Vessels));
        match (image, field, labels) {
            (Some(image), Some(field), Some(labels)) if problems.is_empty() => {
                Ok(PhotographPaths { image, field, labels, vessels })
            }
            _ => Err(problems),
        }
    }
}

/// What to say of `all` photographs if some of them, `with_vessels`, have a file in `manual1` and others do not.
pub(super) fn mixed_vessels(with_vessels: usize, all: usize) -> Option<String> {
    (1..all).contains(&with_vessels).then(|| {
        format!(
            "`manual1` holds {with_vessels} of {all} photographs: the binary truth of the others is every coloured pixel of \
             `HRF_AV_GT`, so it comes from two sources; complete `manual1`, or remove it"
        )
    })
}

/// What to say of photographs that were `turned` because their files say so.
pub(super) fn turned(turned: &[PhotographId]) -> Option<String> {
    let names = turned.iter().map(ToString::to_string).collect::<Vec<_>>();
    (!names.is_empty()).then(|| {
        format!(
            "turned as their files say (EXIF): {}; their labels are taken as drawn on the turned photographs: look at them",
            names.join(", ")
        )
    })
}
