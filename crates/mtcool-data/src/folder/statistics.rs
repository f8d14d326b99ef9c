//! What a trained network needs to know of its training part.

use serde::{Deserialize, Serialize};

use super::normalization::Normalization;

/// What the training part says about inputs and targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingStatistics {
    /// Mean and standard deviation of the pictures of each task.
    pub normalization: Vec<Normalization>,
    /// Mean and standard deviation of the labels of each regression, `[0, 1]` for other tasks.
    pub scale: Vec<[f64; 2]>,
}
