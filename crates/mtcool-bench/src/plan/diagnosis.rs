//! [`Diagnosis`]: what a sweep is executed for if not for a table.

use serde::Serialize;

/// A sweep that shows something about an experiment and gives no result of it. Its runs have an identity of their own, so that no table
/// ever finds them, and a folder of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Diagnosis {
    /// How much better results would look if the epoch were chosen on the test split.
    TestSelection,
}

impl Diagnosis {
    /// The name in flags, and of the folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::TestSelection => "test-selection",
        }
    }

    /// What has to stand beside every figure of it.
    pub fn label(self) -> &'static str {
        match self {
            Self::TestSelection => "optimistic: chosen on the test split",
        }
    }

    /// The split under which `metrics.parquet` has its figures. It is none of those that tables read.
    pub fn split(self) -> &'static str {
        match self {
            Self::TestSelection => "optimistic-test",
        }
    }
}
