//! The errors of this crate, and the checks that several metrics share.

/// Input that no metric is defined on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// Two inputs that belong together differ in length.
    #[error("{got} {what}: expected {expected}, one for each entry of the other input")]
    Length {
        /// The entries that are too few or too many.
        what: &'static str,
        /// Length of the other input.
        expected: usize,
        /// Its own length.
        got: usize,
    },

    /// A value that cannot be ranked or added up.
    #[error("{what} number {index} is {value}: expected a finite number")]
    NotFinite {
        /// Which input.
        what: &'static str,
        /// Where in it, from 0.
        index: usize,
        /// The value: NaN or infinite.
        value: f64,
    },

    /// A number outside the range that the metric is defined on.
    #[error("{what} number {index} is {value}: expected {expected}")]
    OutOfRange {
        /// Which input.
        what: &'static str,
        /// Where in it, from 0.
        index: usize,
        /// The number.
        value: f64,
        /// The valid range, in words.
        expected: &'static str,
    },

    /// A statistic that has no value on the sample itself, or on too many resamples of it.
    #[error("the statistic is undefined on {undefined} of {of} {samples}: expected a value on at least half of them")]
    Undefined {
        /// Samples without a value.
        undefined: usize,
        /// All samples.
        of: usize,
        /// What they are.
        samples: &'static str,
    },

    /// Fewer or more values than the method is defined for.
    #[error("{got} {what}: expected {expected}")]
    Count {
        /// The things that are too few or too many.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// The valid range, in words.
        expected: &'static str,
    },
}

/// An error if the lengths of two inputs differ.
pub(crate) fn same_length(what: &'static str, got: usize, expected: usize) -> Result<(), MetricError> {
    if got == expected { Ok(()) } else { Err(MetricError::Length { what, expected, got }) }
}

/// An error that names the first value that is NaN or infinite, if there is one.
pub(crate) fn all_finite(what: &'static str, values: &[f64]) -> Result<(), MetricError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(MetricError::NotFinite { what, index, value: values[index] }),
        None => Ok(()),
    }
}
