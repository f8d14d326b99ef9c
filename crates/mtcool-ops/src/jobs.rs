//! How much work one job of the thread pool gets. Constants, so that no result depends on the number of threads.

/// Elements of a job, at least, where the work on an element is one or two instructions.
pub(crate) const ELEMENTS_A_JOB: usize = 16 * 1024;

/// Planes of a job, at least, where the work on a plane is one pass over it.
pub(crate) const PLANES_A_JOB: usize = 16;
