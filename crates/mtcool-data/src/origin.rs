//! Whether the files of a data set are the published ones or were drawn by a program.

use serde::{Deserialize, Serialize};

/// Where the files of a folder come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// The published files.
    Real,
    /// Drawn by a program; results are not comparable with published ones.
    Synthetic {
        /// The seed they were drawn from.
        seed: u64,
        /// The version of the drawing rules.
        generator: u32,
    },
}
