//! Samples, and the data sets that loaders read them from.

use candle_core::{Device, Tensor};

use crate::error::{Error, Result};

/// A batch of samples.
#[derive(Clone, Debug)]
pub struct Sample {
    /// `[B, ...]`.
    pub inputs: Tensor,
    /// `[B, ...]`.
    pub targets: Tensor,
}

impl Sample {
    /// A copy on `device`.
    ///
    /// # Errors
    /// If the device has no room for it.
    pub fn on(&self, device: &Device) -> Result<Self> {
        Ok(Self { inputs: self.inputs.to_device(device)?, targets: self.targets.to_device(device)? })
    }
}

/// A finite set of samples, read by index.
pub trait Dataset: Send + Sync {
    /// The number of samples.
    fn len(&self) -> usize;

    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The samples at `indices`, in that order.
    ///
    /// # Errors
    /// If one cannot be read.
    fn read(&self, indices: &[u32]) -> Result<Sample>;
}

/// Inputs and targets held in memory.
#[derive(Clone, Debug)]
pub struct Labelled {
    inputs: Tensor,
    targets: Tensor,
}

impl Labelled {
    /// A set of `inputs` `[N, ...]` and `targets` `[N, ...]`.
    ///
    /// # Errors
    /// If their first dimensions differ.
    pub fn new(inputs: Tensor, targets: Tensor) -> Result<Self> {
        if inputs.dim(0)? != targets.dim(0)? {
            return Err(Error::OutOfRange {
                key: "targets",
                value: targets.dim(0)?,
                expected: format!("as many as inputs, {}", inputs.dim(0)?),
            });
        }
        Ok(Self { inputs, targets })
    }

    /// All targets `[N, ...]`.
    pub fn targets(&self) -> &Tensor {
        &self.targets
    }

    /// A copy on `device`, where its batches are then put together.
    ///
    /// # Errors
    /// If the device has no room for it.
    pub fn on(&self, device: &Device) -> Result<Self> {
        Ok(Self { inputs: self.inputs.to_device(device)?, targets: self.targets.to_device(device)? })
    }

    /// The samples at `indices` as a new set.
    ///
    /// # Errors
    /// If an index is out of range.
    pub fn select(&self, indices: &[u32]) -> Result<Self> {
        let Sample { inputs, targets } = self.read(indices)?;
        Ok(Self { inputs, targets })
    }
}

impl Dataset for Labelled {
    fn len(&self) -> usize {
        self.targets.dims()[0]
    }

    fn read(&self, indices: &[u32]) -> Result<Sample> {
        let indices = Tensor::new(indices, self.inputs.device())?;
        Ok(Sample { inputs: self.inputs.index_select(&indices, 0)?, targets: self.targets.index_select(&indices, 0)? })
    }
}
