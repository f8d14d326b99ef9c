//! Where a method's batches come from.
//!
//! Any loader becomes a [`BatchSource`] in one line, by [`from_fn`]:
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use mtcool_core::{Batch, BatchSource, batches};
//!
//! /// A loader of your own, with an error of its own.
//! struct Loader;
//!
//! impl Loader {
//!     fn load(&mut self, task: usize) -> Result<(Tensor, Tensor), std::io::Error> {
//!         let error = std::io::Error::other;
//!         let images = Tensor::zeros((4, 1, 28, 28), DType::F32, &Device::Cpu).map_err(error)?;
//!         Ok((images, Tensor::new(&[task as u32; 4], &Device::Cpu).map_err(error)?))
//!     }
//! }
//!
//! # fn main() -> mtcool_core::Result<()> {
//! let mut loader = Loader;
//! let mut batches = batches::from_fn(|task| loader.load(task).map(|(input, target)| Batch { input, target }));
//! assert_eq!(batches.next(1)?.target.dims(), [4]);
//! # Ok(())
//! # }
//! ```

use std::fmt;

use candle_core::Tensor;

use crate::error::{Error, Result};

/// Inputs and targets of one task.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[B, ...]`, as the network reads it.
    pub input: Tensor,
    /// `[B, ...]`, as the task's loss reads it.
    pub target: Tensor,
}

/// An endless stream of batches for each task.
pub trait BatchSource {
    /// The next batch of task `task`.
    ///
    /// # Errors
    /// [`Error::Batch`] if it cannot be read.
    fn next(&mut self, task: usize) -> Result<Batch>;

    /// The next batch of every task. Where tasks share their images, all batches may hold one and the same input tensor; a
    /// network can then compute the shared features once.
    ///
    /// # Errors
    /// As [`BatchSource::next`].
    fn next_all(&mut self, tasks: usize) -> Result<Vec<Batch>> {
        (0..tasks).map(|task| self.next(task)).collect()
    }
}

/// The batches that `next` returns: it is called with the number of a task, counted from 0, whenever a batch of that task is
/// asked for. Its errors become [`Error::Batch`] with the number of the task.
pub fn from_fn<F, E>(next: F) -> FromFn<F>
where
    F: FnMut(usize) -> std::result::Result<Batch, E>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    FromFn(next)
}

/// A [`BatchSource`] by [`from_fn`].
#[derive(Clone)]
pub struct FromFn<F>(F);

impl<F, E> BatchSource for FromFn<F>
where
    F: FnMut(usize) -> std::result::Result<Batch, E>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn next(&mut self, task: usize) -> Result<Batch> {
        (self.0)(task).map_err(|error| Error::Batch { task, source: error.into() })
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").finish_non_exhaustive()
    }
}
