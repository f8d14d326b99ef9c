//! What can go wrong in a training step.

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a method, its configuration or its inputs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor operation failed; candle's message names the operation and the shapes.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),

    /// A setting lies outside its valid range.
    #[error("`{key}` is {value}: expected {expected}")]
    OutOfRange {
        /// The setting's name, as in a configuration file.
        key: &'static str,
        /// What was given.
        value: String,
        /// The valid range, in words.
        expected: &'static str,
    },

    /// A loss was NaN or infinite: training has diverged.
    #[error(
        "the loss of task {task} is {value}: training diverged; lower the learning rate, or look for bad values in the data"
    )]
    NonFiniteLoss {
        /// The task whose loss it is, counted from 0.
        task: usize,
        /// NaN or an infinity.
        value: f64,
    },

    /// Parameters, a state or inputs do not belong together.
    #[error("{what}: expected {expected}, got {got}")]
    Mismatch {
        /// What was compared.
        what: String,
        /// What would have been right.
        expected: String,
        /// What was given.
        got: String,
    },

    /// A source of batches failed.
    #[error("could not read a batch of task {task}: {source}")]
    Batch {
        /// The task whose batch was asked for.
        task: usize,
        /// The source's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// An [`Error::OutOfRange`] for `key`.
    pub fn out_of_range(key: &'static str, value: impl std::fmt::Display, expected: &'static str) -> Self {
        Self::OutOfRange { key, value: value.to_string(), expected }
    }
}

/// Fails unless `valid`, naming the setting.
pub(crate) fn require(
    valid: bool,
    key: &'static str,
    value: impl std::fmt::Display,
    expected: &'static str,
) -> Result<()> {
    if valid { Ok(()) } else { Err(Error::out_of_range(key, value, expected)) }
}
