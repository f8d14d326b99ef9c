//! Whether the tasks' gradients are kept.

/// How the gradients of all tasks are held until an aggregator has weighed them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GradientStorage {
    /// T gradients of all parameters.
    #[default]
    Stored,
    /// Of a layer whose weight has more elements than its output, input and output's gradient are kept instead, for each task. The
    /// weight's gradients are computed from them a few rows at a time, for all tasks: once for the inner products, and once more for the
    /// direction. Only networks with a backward pass of their own do it, such as LeNet; gradients of other layers are stored.
    ///
    /// It applies to aggregators that do not read rows ([`Aggregator::reads_rows`]), and needs a single batch of each task per step.
    /// Inner products and directions are the same up to rounding.
    ///
    /// [`Aggregator::reads_rows`]: super::Aggregator::reads_rows
    Layerwise,
}
