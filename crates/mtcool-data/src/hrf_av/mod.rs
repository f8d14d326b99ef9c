//! HRF-AV: 45 photographs of the retina (3504 x 2336), each with two dense tasks: vessel or not, and artery against vein.
//!
//! Photographs and fields of view: High-Resolution Fundus Image Database (Budai et al. 2013). Artery/vein labels: Hemelings et
//! al. 2019. A folder holds them under their official names, see [`Role`].

mod checksums;
mod decode;
mod fetch;
mod labels;
mod layout;
mod patches;
mod split;
mod statistics;
mod synth;
mod verify;

use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::augment::Source;
use crate::cache::{Cache, Cached};
use crate::dataset::Sample;
use crate::error::{Error, Result};
use crate::finding::{Defects, Finding};
use decode::Decoded;
use layout::Layout;

pub use fetch::{FetchConfig, Fetched, fetch};
pub use labels::{CLASS, Class, FIELD, Labels, Mark, VESSEL};
pub use layout::{Files, Group, PhotographId, Role, SetShape};
pub use patches::{PatchConfig, Patches};
pub use split::{Partition, SplitRule};
pub use statistics::ChannelStatistics;
pub use synth::{SynthConfig, origin, synthesize};
pub use verify::{Report, verify};

/// What to do with photographs whose files are missing or damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDamage {
    /// Refuse the set and name every problem.
    Refuse,
    /// Load the others.
    LeaveOut,
}

/// How to load a set.
#[derive(Clone, Copy, Debug)]
pub struct HrfAvConfig {
    /// What the folder should hold.
    pub shape: SetShape,
    /// Sides become that many times shorter: the mean of `scale` x `scale` pixels, and of their labels what [`Mark`] says.
    pub scale: usize,
    /// What to do about damaged files.
    pub on_damage: OnDamage,
}

/// The photographs of a folder, decoded once and kept in a cache.
pub struct HrfAv {
    photographs: Vec<Arc<Photograph>>,
    left_out: Vec<Finding>,
}

impl HrfAv {
    /// Loads all photographs below `folder`, those that `cache` does not hold yet from their files.
    ///
    /// # Errors
    /// [`Error::Defective`] with every problem if files are missing or damaged and `config` does not leave them out, or if no
    /// photograph is left; [`Error::OutOfRange`] if the scale does not fit; [`Error::Io`] if the cache cannot be written.
    pub fn open(folder: &Path, cache: &Cache, config: HrfAvConfig) -> Result<Self> {
        let layout = Layout::scan(folder)?;
        let ids: Vec<PhotographId> = config.shape.photographs().collect();
        let loaded: Vec<_> = ids.par_iter().map(|&id| Photograph::load(&layout, cache, config, id)).collect();
        let (mut photographs, mut left_out) = (Vec::new(), Vec::new());
        for loaded in loaded {
            match loaded {
                Ok(photograph) => photographs.push(Arc::new(photograph)),
                Err(Error::Defective(defects)) => left_out.extend(defects.findings),
                Err(error) => return Err(error),
            }
        }
        if !left_out.is_empty() && (config.on_damage == OnDamage::Refuse || photographs.is_empty()) {
            return Err(defective(&layout, left_out));
        }
        for problem in &left_out {
            tracing::warn!(%problem, "photograph left out");
        }
        Ok(Self { photographs, left_out })
    }

    /// Those of `ids` that were loaded, in the order of `ids`.
    pub fn photographs(&self, ids: &[PhotographId]) -> Vec<Arc<Photograph>> {
        let find = |id: &PhotographId| self.photographs.iter().find(|photograph| photograph.id == *id).cloned();
        ids.iter().filter_map(find).collect()
    }

    /// All that were loaded, in order.
    pub fn all(&self) -> &[Arc<Photograph>] {
        &self.photographs
    }

    /// Why photographs were left out.
    pub fn left_out(&self) -> &[Finding] {
        &self.left_out
    }

    /// What is worth knowing although nothing is damaged.
    pub fn notes(&self) -> Vec<String> {
        let with_vessels = self.photographs.iter().filter(|photograph| photograph.has_vessels).count();
        mixed_vessels(with_vessels, self.photographs.len()).into_iter().collect()
    }
}

/// What to say of `all` photographs if some of them, `with_vessels`, have a file in `manual1` and others do not.
fn mixed_vessels(with_vessels: usize, all: usize) -> Option<String> {
    (1..all).contains(&with_vessels).then(|| {
        format!(
            "`manual1` holds {with_vessels} of {all} photographs: the binary truth of the others is every coloured pixel of \
             `HRF_AV_GT`, so it comes from two sources; complete `manual1`, or remove it"
        )
    })
}

fn defective(layout: &Layout, findings: Vec<Finding>) -> Error {
    Error::Defective(Box::new(Defects {
        dataset: "HRF-AV",
        folder: layout.folder.clone(),
        findings,
        remedy: "Repair or replace them (`cargo xtask data verify hrf-av` lists all), or ask for the intact photographs alone"
            .into(),
    }))
}

/// A decoded photograph, its pixels mapped from the cache.
#[derive(Debug)]
pub struct Photograph {
    /// Which one.
    pub id: PhotographId,
    /// See [`Self::key`].
    key: String,
    /// Whether the binary truth is that of `manual1`.
    has_vessels: bool,
    /// Array 0: the photograph `[H, W, 3]`; array 1: its marks `[H, W]`.
    arrays: Cached,
}

impl Photograph {
    /// [`Error::Defective`] for problems with the files, any other error for the rest.
    fn load(layout: &Layout, cache: &Cache, config: HrfAvConfig, id: PhotographId) -> Result<Self> {
        let defective = |findings| defective(layout, findings);
        let files = layout.files(id).map_err(defective)?;
        let size = config.shape.size;
        let key = match decode::key(layout, &files, size, config.scale) {
            Ok(key) => key,
            // Whoever repairs these files should know of the others.
            Err(unreadable) => return Err(defective(Decoded::read(layout, &files, size).err().unwrap_or(unreadable))),
        };
        let make = || Decoded::read(layout, &files, size).map_err(defective)?.arrays(config.scale);
        let arrays = cache.entry(&key, make)?;
        Ok(Self { id, key: key.name(), has_vessels: files.vessels.is_some(), arrays })
    }

    /// Follows from the content of its files and how they were loaded: alike wherever its pixels and marks are.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.arrays.shape(1)[0]
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.arrays.shape(1)[1]
    }

    /// Its pixels `[H, W, 3]`.
    pub fn pixels(&self) -> Source<'_> {
        Source { bytes: self.arrays.bytes(0), height: self.height(), width: self.width() }
    }

    /// A [`Mark`] a pixel, `[H, W]`.
    pub fn marks(&self) -> Source<'_> {
        Source { bytes: self.arrays.bytes(1), height: self.height(), width: self.width() }
    }

    /// All of it: inputs `[1, 3, H, W]` f32 in 0..=1; targets `[1, 2, H, W]` u8, as [`Patches`] have them.
    ///
    /// # Errors
    /// If a tensor cannot be made.
    pub fn whole(&self) -> Result<Sample> {
        let [height, width] = [self.height(), self.width()];
        let pixels = self.pixels().bytes;
        let values: Vec<f32> = (0..3)
            .flat_map(|channel| pixels.iter().skip(channel).step_by(3))
            .map(|&byte| f32::from(byte) / 255.0)
            .collect();
        let marks = self.marks().bytes;
        let targets: Vec<u8> =
            marks.iter().map(|&mark| vessel(mark)).chain(marks.iter().map(|&mark| mark & CLASS)).collect();
        Ok(Sample {
            inputs: Tensor::from_vec(values, (1, 3, height, width), &Device::Cpu)?,
            targets: Tensor::from_vec(targets, (1, 2, height, width), &Device::Cpu)?,
        })
    }
}

/// 1 on a vessel of the binary task, else 0.
/// What the targets say of each mark, a plane a row: whether it is a vessel, and its class.
pub fn target_planes() -> [[u8; 256]; 2] {
    let of = |target: fn(Mark) -> u8| std::array::from_fn(|mark| target(mark as u8));
    [of(vessel), of(|mark| mark & CLASS)]
}

fn vessel(mark: Mark) -> u8 {
    u8::from(mark & VESSEL != 0)
}
