//! HRF-AV: 45 photographs of the retina (3504 x 2336) with two dense tasks on each: vessel or not, and artery or vein.
//!
//! Photographs and fields of view: High-Resolution Fundus Image Database (Budai et al. 2013). Artery/vein labels: Hemelings et
//! al. 2019. A folder holds them under their official names, see [`Role`].

mod agreement;
mod checksums;
mod config;
mod copies;
mod decode;
mod fetch;
mod labels;
mod layout;
mod manifest;
mod names;
mod patches;
mod photograph;
mod set;
mod split;
mod statistics;
mod synth;
mod verify;

pub use config::{HrfAvConfig, OnDamage};
pub use fetch::{FetchConfig, Fetched, fetch};
pub use labels::{CLASS, Class, FIELD, Mark, VESSEL, target_planes};
pub use manifest::origin;
pub use names::{Group, PhotographId, Role, SetShape};
pub use patches::{PatchConfig, Patches};
pub use photograph::Photograph;
pub use set::HrfAv;
pub use split::{Partition, SplitRule};
pub use statistics::ChannelStatistics;
pub use synth::{SynthConfig, synthesize};
pub use verify::{HrfAvReport, verify};

/// The parsers of this module, for the fuzz tests.
pub(crate) mod fuzzing {
    use std::path::Path;

    pub(crate) fn archive(file: &Path, folder: &Path) {
        drop(super::fetch::unpack_all(file, folder));
    }
}
