//! The official folders and file names, and which file plays which role.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::synth::{MANIFEST, origin};
use crate::error::{Error, Result, at};
use crate::finding::{Finding, Problem};
use crate::mnist::Origin;

/// The diagnosis of a photograph's eye.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// `dr`.
    DiabeticRetinopathy,
    /// `g`.
    Glaucoma,
    /// `h`.
    Healthy,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::DiabeticRetinopathy, Self::Glaucoma, Self::Healthy];

    /// Its letters in file names.
    pub const fn letters(self) -> &'static str {
        match self {
            Self::DiabeticRetinopathy => "dr",
            Self::Glaucoma => "g",
            Self::Healthy => "h",
        }
    }
}

/// Which photograph: `01_dr` to `15_h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PhotographId {
    /// From 1.
    pub number: u8,
    /// The diagnosis.
    pub group: Group,
}

impl fmt::Display for PhotographId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}_{}", self.number, self.group.letters())
    }
}

/// How many photographs a set has, and how large they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetShape {
    /// Photographs of each group, numbered from 1.
    pub numbers: u8,
    /// Width and height.
    pub size: [usize; 2],
}

impl SetShape {
    /// The published set.
    pub const OFFICIAL: Self = Self { numbers: 15, size: [3504, 2336] };

    /// All its photographs, in order.
    pub fn photographs(self) -> impl Iterator<Item = PhotographId> {
        (1..=self.numbers).flat_map(|number| Group::ALL.map(|group| PhotographId { number, group }))
    }
}

/// What a file tells about a photograph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `images/01_dr.JPG`: the photograph.
    Image,
    /// `mask/01_dr_mask.tif`: its field of view.
    Field,
    /// `HRF_AV_GT/01_dr_AVmanual.png`: arteries and veins.
    Labels,
    /// `manual1/01_dr.tif`: vessels; may be absent.
    Vessels,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Image, Self::Field, Self::Labels, Self::Vessels];

    /// The folder of its files.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Image => "images",
            Self::Field => "mask",
            Self::Labels => "HRF_AV_GT",
            Self::Vessels => "manual1",
        }
    }

    /// The official path of a photograph's file, below the set's folder.
    pub fn path(self, id: PhotographId) -> PathBuf {
        let extension = match (self, id.group) {
            (Self::Image, Group::DiabeticRetinopathy) => "JPG",
            (Self::Image, _) => "jpg",
            (Self::Labels, _) => "png",
            (Self::Field | Self::Vessels, _) => "tif",
        };
        Path::new(self.folder()).join(format!("{}.{extension}", self.stem(id)))
    }

    fn stem(self, id: PhotographId) -> String {
        let suffix = match self {
            Self::Image | Self::Vessels => "",
            Self::Field => "_mask",
            Self::Labels => "_AVmanual",
        };
        format!("{id}{suffix}")
    }
}

/// The files of one photograph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Its photograph.
    pub image: PathBuf,
    /// Its field of view.
    pub field: PathBuf,
    /// Its arteries and veins.
    pub labels: PathBuf,
    /// Its vessels, where the folder has them.
    pub vessels: Option<PathBuf>,
}

/// Every file below a folder that plays a role, whatever the case of its name and the kind of its picture.
pub(super) struct Layout {
    pub(super) folder: PathBuf,
    /// Whether the folder says that its photographs were drawn.
    pub(super) is_drawn: bool,
    found: BTreeMap<(Role, String), Vec<PathBuf>>,
}

impl Layout {
    /// Looks through the official folders.
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

    /// A problem of `file` that must be solved.
    pub(super) fn defect(&self, file: &Path, problem: Problem, detail: impl Into<String>) -> Finding {
        Finding::defect(&self.folder, file, problem, detail)
    }

    /// What is wrong with a photograph that says it was drawn while its folder does not.
    pub(super) fn undeclared(&self, file: &Path) -> Finding {
        Finding::undeclared(&self.folder, file, MANIFEST)
    }

    /// The files of `id`, or every file that is missing or doubled.
    pub(super) fn files(&self, id: PhotographId) -> Result<Files, Vec<Finding>> {
        let mut problems = Vec::new();
        let mut of = |role: Role| {
            let stem = role.stem(id).to_ascii_lowercase();
            match self.found.get(&(role, stem)).map_or(&[][..], Vec::as_slice) {
                [file] => Some(file.clone()),
                [] if role == Role::Vessels => None,
                [] => {
                    let detail = format!("no file of this name, in any case or format, in `{}`", role.folder());
                    problems.push(self.defect(&role.path(id), Problem::Missing, detail));
                    None
                }
                [first, others @ ..] => {
                    let first = first.strip_prefix(&self.folder).unwrap_or(first).display();
                    let detail = format!("by `{first}`; remove one of them");
                    problems.extend(others.iter().map(|other| self.defect(other, Problem::Doubled, &*detail)));
                    None
                }
            }
        };
        let (image, field, labels, vessels) = (of(Role::Image), of(Role::Field), of(Role::Labels), of(Role::Vessels));
        match (image, field, labels) {
            (Some(image), Some(field), Some(labels)) if problems.is_empty() => {
                Ok(Files { image, field, labels, vessels })
            }
            _ => Err(problems),
        }
    }
}
