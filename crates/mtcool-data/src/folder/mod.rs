//! A folder of one's own pictures with any number of tasks: described by settings, checked before any training, and read in
//! batches.
//!
//! - [`FolderConfig`] says where pictures and labels are: a pattern of file names, a [`Table`] whose rows are cases, and one
//!   [`TaskConfig`] per task.
//! - [`Folder::open`] reads and checks all of it. Everything that is wrong comes in one error, [`Problems`](crate::Problems).
//! - [`FolderSamples`] are the cases of a part for some tasks, as [`SharedLoader`](crate::SharedLoader) reads them.
//! - [`Inspection`] tells what was found, also in folders with mistakes; [`Suggestion`] is a configuration to start from.
//! - [`synthesize`] draws an example set.
//!
//! **A missing label** is an empty cell or a mask that does not exist. Where several tasks share a batch, its target is
//! [`IGNORED`] for classes, pixels and single labels, and not a number for regression, so that a loss which forgets to leave it
//! out cannot go unnoticed. [`Folder::labelled`] lists the cases that have a label.

mod accents;
mod advice;
mod arrays;
mod bands;
mod cases;
mod check;
mod columns;
mod config;
mod coverage;
mod decode;
mod depth;
mod discover;
mod drawn_cell;
mod example;
mod existing;
mod facts;
mod input;
mod inspect;
mod label;
mod mask;
mod normalization;
mod notes;
mod outliers;
mod parts;
mod patches;
mod pattern;
mod pixels;
mod purpose;
mod reasons;
mod removal;
mod resample;
mod samples;
mod set;
mod sources;
mod spacing;
mod split;
mod statistics;
mod suggest;
mod suggested_cases;
mod survey;
mod synthesis;
mod table;
mod task;
mod task_names;
mod value;

pub use config::{Fit, FolderConfig, SplitConfig, TestPart};
pub use example::{Example, ExampleView};
pub use input::network_input;
pub use inspect::{Inspection, PartCounts, PictureInspection, TaskInspection};
pub use label::{IGNORED, Label};
pub use normalization::Normalization;
pub use parts::{Part, Parts};
pub use patches::Tiles;
pub use pixels::Pixels;
pub use reasons::Suggested;
pub use samples::FolderSamples;
pub use set::{Case, Folder, FolderTask};
pub use spacing::Spacing;
pub use statistics::TrainingStatistics;
pub use suggest::Suggestion;
pub use survey::OpenOptions;
pub use synthesis::{FolderSynthesis, drawn, synthesize};
pub use table::{ReadParquet, Row, Table};
pub use task::{TaskConfig, TaskKind};
pub use value::{CellText, MaskValue};

/// The parsers of this module, for the fuzz tests.
pub(crate) mod fuzzing {
    use super::decode::decode;
    use super::mask::MaskPixels;

    pub(crate) fn picture(bytes: &[u8]) {
        for channels in [1, 3] {
            drop(decode(bytes).and_then(|decoded| decoded.with_channels(channels)));
        }
        if let Ok(mask) = decode(bytes).and_then(MaskPixels::new) {
            drop(mask.counts());
        }
    }
}
