//! Batches in an order that follows from a seed and a position alone, prepared on another thread.

use std::sync::Arc;

use candle_core::Device;

use crate::dataset::{Dataset, Sample};
use crate::error::Result;
use crate::order::{EpochOrder, LoaderConfig};
use crate::prefetch::Prefetch;

/// Batches prepared ahead.
const PREFETCH: usize = 2;

/// An endless stream of batches. Every epoch is a new shuffle of the whole set, without its last incomplete batch.
///
/// The batch at position n is a function of the data set, the config and n, so the position is the only state to save.
pub struct Loader {
    batches: Prefetch<Sample>,
}

impl Loader {
    /// A loader whose first batch is number `position` of the stream.
    ///
    /// # Errors
    /// If the batch size is 0 or larger than the data set.
    pub fn new(data: Arc<dyn Dataset>, config: LoaderConfig, position: u64) -> Result<Self> {
        Self::on(&Device::Cpu, data, config, position)
    }

    /// As [`Loader::new`], but batches are also moved to `device` ahead of their use.
    ///
    /// # Errors
    /// As [`Loader::new`].
    pub fn on(device: &Device, data: Arc<dyn Dataset>, config: LoaderConfig, position: u64) -> Result<Self> {
        let (mut order, device) = (EpochOrder::new(data.len(), config)?, device.clone());
        let read = move |position| {
            let indices: Vec<u32> = order.batch(position).iter().map(|turn| turn.index).collect();
            data.read(&indices)?.on(&device)
        };
        Ok(Self { batches: Prefetch::new(position, PREFETCH, vec![read])? })
    }

    /// The next batch, waiting for it if it is not ready.
    ///
    /// # Errors
    /// If it cannot be read.
    #[expect(clippy::should_implement_trait, reason = "the stream never ends, so an Option would mislead")]
    pub fn next(&mut self) -> Result<Sample> {
        self.batches.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads with rayon, as a set that decodes images would.
    struct Parallel;

    impl Dataset for Parallel {
        fn len(&self) -> usize {
            8
        }

        fn read(&self, indices: &[u32]) -> Result<Sample> {
            use rayon::prelude::*;
            let doubled: Vec<u32> = indices.par_iter().map(|index| index * 2).collect();
            let targets = candle_core::Tensor::new(doubled, &candle_core::Device::Cpu)?;
            Ok(Sample { inputs: targets.clone(), targets })
        }
    }

    #[test]
    fn a_set_that_reads_in_parallel_does_not_wait_for_the_pool_that_waits_for_it() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let sum = pool.install(|| {
            let config = LoaderConfig { batch_size: 8, seed: 0, stream: 0 };
            let mut loader = Loader::new(Arc::new(Parallel), config, 0).unwrap();
            loader.next().unwrap().targets.to_vec1::<u32>().unwrap().iter().sum::<u32>()
        });
        assert_eq!(sum, 56);
    }
}
