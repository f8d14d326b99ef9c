//! Gradients of large parameters that are computed later, a few rows at a time.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use candle_core::{Tensor, TensorId};

use crate::parameter_name::ParameterName;

/// The gradient of several leaves, one above the other, which is not computed before it is asked for. Where a weight has more elements
/// than the output of its layer, what the gradient follows from takes less memory than the gradient.
pub trait LateGradient: Send + Sync {
    /// The leaves, and how many rows each of them has.
    fn leaves(&self) -> &[(TensorId, usize)];

    /// These rows of the gradient, `[rows, ...]`, counted over all leaves.
    ///
    /// # Errors
    /// If there are no such rows, or they cannot be computed.
    fn rows(&self, rows: Range<usize>) -> candle_core::Result<Tensor>;
}

/// The gradient of one parameter, as rows of a [`LateGradient`].
#[derive(Clone)]
pub(crate) struct LateRows {
    pub(crate) name: ParameterName,
    /// Where the parameter's rows are among those of `gradient`.
    pub(crate) place: Range<usize>,
    /// The number of rows of all leaves of `gradient`.
    pub(crate) rows_of_layer: usize,
    pub(crate) gradient: Arc<dyn LateGradient>,
}

impl LateRows {
    /// The gradients of the parameters that `gradient` consists of, one by one. `name_of` is the name of a leaf.
    pub(crate) fn of(
        gradient: &Arc<dyn LateGradient>,
        name_of: impl Fn(TensorId) -> Option<ParameterName>,
    ) -> Option<Vec<Self>> {
        let rows_of_layer = gradient.leaves().iter().map(|(_, rows)| rows).sum();
        let mut start = 0;
        let of_leaf = |&(leaf, rows): &(TensorId, usize)| {
            start += rows;
            Some(Self { name: name_of(leaf)?, place: start - rows..start, rows_of_layer, gradient: gradient.clone() })
        };
        gradient.leaves().iter().map(of_leaf).collect()
    }

    /// These rows of the parameter's gradient.
    ///
    /// # Errors
    /// As [`LateGradient::rows`].
    pub(crate) fn rows(&self, rows: Range<usize>) -> candle_core::Result<Tensor> {
        let start = self.place.start;
        self.gradient.rows(start + rows.start..start + rows.end)
    }

    /// The parameter's gradient.
    ///
    /// # Errors
    /// As [`LateGradient::rows`].
    pub(crate) fn whole(&self) -> candle_core::Result<Tensor> {
        self.gradient.rows(self.place.clone())
    }
}

impl fmt::Debug for LateRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LateRows").field("name", &self.name).field("place", &self.place).finish_non_exhaustive()
    }
}
