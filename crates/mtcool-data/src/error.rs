//! Errors about data: each message names the file, what was expected, and what to do.

use std::path::{Path, PathBuf};

use crate::finding::Defects;
use crate::problems::Problems;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error about a data set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A folder lacks files of the data set.
    #[error("no {dataset} in `{folder}`: {missing} not found; {remedy}")]
    Missing {
        /// The data set's name.
        dataset: &'static str,
        /// The folder that was searched.
        folder: PathBuf,
        /// The missing files.
        missing: String,
        /// What to do.
        remedy: &'static str,
    },

    /// A file does not have the expected content.
    #[error("`{file}`: expected {expected}, got {got}; {remedy}")]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What the file should be.
        expected: String,
        /// What the file is.
        got: String,
        /// What to do.
        remedy: &'static str,
    },

    /// A file could not be downloaded.
    #[error("`{url}`: {reason}")]
    Download {
        /// The address.
        url: String,
        /// Why the download failed.
        reason: String,
    },

    /// No source delivered the data set.
    #[error(
        "could not fetch {dataset}:\n{attempts}\nPlace its files in `{folder}` by hand, or use synthetic data (`--data synth`)"
    )]
    Fetch {
        /// The data set's name.
        dataset: &'static str,
        /// Where its files belong.
        folder: PathBuf,
        /// One line per source that was tried: its name and why it failed.
        attempts: String,
    },

    /// Files of a data set are missing or damaged; the message names them.
    #[error("{0}")]
    Defective(Box<Defects>),

    /// Settings and files of a folder do not fit together; the message tells everything that is wrong.
    #[error("{0}")]
    Problems(Box<Problems>),

    /// A setting lies outside its valid range.
    #[error("`{key}` is {value}: expected {expected}")]
    OutOfRange {
        /// The setting's name.
        key: &'static str,
        /// The value that was given.
        value: usize,
        /// The valid range, in words.
        expected: String,
    },

    /// A real-valued setting lies outside its valid range.
    #[error("`{key}` is {value}: expected {expected}")]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// The value that was given.
        value: f32,
        /// The valid range, in words.
        expected: String,
    },

    /// A file could not be read or written.
    #[error("`{path}`: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },

    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),

    /// The thread that prepares batches has ended.
    #[error("the thread that prepares batches ended unexpectedly")]
    LoaderGone,
}

/// Turns an I/O error at `path` into an error that names the path.
pub(crate) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |source| Error::Io { path: path.to_owned(), source }
}
