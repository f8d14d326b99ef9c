//! The official names: which photographs a set has, and where their files lie.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

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
    /// All variants, in order.
    pub const ALL: [Self; 3] = [Self::DiabeticRetinopathy, Self::Glaucoma, Self::Healthy];

    /// The letters of the group in file names.
    pub const fn letters(self) -> &'static str {
        match self {
            Self::DiabeticRetinopathy => "dr",
            Self::Glaucoma => "g",
            Self::Healthy => "h",
        }
    }
}

/// The name of a photograph: `01_dr` to `15_h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PhotographId {
    /// The number within the group, from 1.
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
    /// Width and height of every photograph.
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

/// The role of a file: what it tells about a photograph.
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
    /// All variants, in order.
    pub const ALL: [Self; 4] = [Self::Image, Self::Field, Self::Labels, Self::Vessels];

    /// The folder of the files with this role.
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

    /// The name of a photograph's file without extension.
    pub(super) fn stem(self, id: PhotographId) -> String {
        let suffix = match self {
            Self::Image | Self::Vessels => "",
            Self::Field => "_mask",
            Self::Labels => "_AVmanual",
        };
        format!("{id}{suffix}")
    }
}
