//! Converts the samples of a loader into the batches of the training loop.

use mtcool_core::Batch;
use mtcool_data::Sample;

/// Converts a loader's sample into a batch of one task.
pub(super) fn batch(sample: Sample) -> Batch {
    Batch { input: sample.inputs, target: sample.targets }
}
