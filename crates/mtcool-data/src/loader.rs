//! Batches in an order that follows from a seed and a position alone, prepared on another thread.

use std::sync::Arc;

use candle_core::Device;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::dataset::{Dataset, Sample};
use crate::error::{Error, Result};
use crate::prefetch::Prefetch;

/// Batches prepared ahead.
const PREFETCH: usize = 2;

/// How a [`Loader`] cuts and shuffles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Samples in a batch: at least 1, at most the data set's size.
    pub batch_size: usize,
    /// Seed of the shuffles.
    pub seed: u64,
    /// Tells loaders of one seed apart, such as the task.
    pub stream: u64,
}

impl LoaderConfig {
    /// The random numbers of `epoch`, told apart by `detail`.
    pub(crate) fn generator(&self, epoch: u64, detail: u64) -> ChaCha8Rng {
        let mut key = [0; 32];
        for (bytes, number) in key.chunks_exact_mut(8).zip([self.seed, self.stream, epoch, detail]) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }
}

/// An endless stream of batches. Every epoch is a new shuffle of the whole set, its last incomplete batch left out.
///
/// The batch at position n is a function of the data set, the config and n, so there is no state to save but the position.
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

    /// [`Loader::new`] whose batches are moved to `device` ahead of their use, too.
    ///
    /// # Errors
    /// As [`Loader::new`].
    pub fn on(device: &Device, data: Arc<dyn Dataset>, config: LoaderConfig, position: u64) -> Result<Self> {
        let (mut order, device) = (EpochOrder::new(data.len(), config)?, device.clone());
        let read = move |position| data.read(order.batch(position))?.on(&device);
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

/// The shuffle of the epoch last asked for.
#[derive(Clone)]
pub(crate) struct EpochOrder {
    config: LoaderConfig,
    epoch: Option<u64>,
    indices: Vec<u32>,
}

impl EpochOrder {
    /// The order of a set of `len` samples.
    ///
    /// # Errors
    /// If the batch size is 0 or larger than the set.
    pub(crate) fn new(len: usize, config: LoaderConfig) -> Result<Self> {
        match (1..=len).contains(&config.batch_size) {
            true => Ok(Self { config, epoch: None, indices: vec![0; len] }),
            false => Err(Error::OutOfRange {
                key: "batch_size",
                value: config.batch_size,
                expected: format!("at least 1 and at most the {len} samples of the data set"),
            }),
        }
    }

    /// The epoch in which batch `position` lies.
    pub(crate) fn epoch(&self, position: u64) -> u64 {
        position / (self.indices.len() / self.config.batch_size) as u64
    }

    /// The indices of batch `position`.
    pub(crate) fn batch(&mut self, position: u64) -> &[u32] {
        let batches_an_epoch = (self.indices.len() / self.config.batch_size) as u64;
        let epoch = self.epoch(position);
        if self.epoch != Some(epoch) {
            self.indices.iter_mut().zip(0..).for_each(|(index, value)| *index = value);
            self.indices.shuffle(&mut self.config.generator(epoch, 0));
            self.epoch = Some(epoch);
        }
        let first = (position % batches_an_epoch) as usize * self.config.batch_size;
        &self.indices[first..first + self.config.batch_size]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_epoch_is_a_shuffle_and_any_position_can_be_entered(len in 1usize..60, batch in 1usize..20, seed: u64) {
            prop_assume!(batch <= len);
            let config = LoaderConfig { batch_size: batch, seed, stream: 1 };
            let per_epoch = len / batch;
            let mut order = EpochOrder::new(len, config).unwrap();
            let batches: Vec<Vec<u32>> = (0..3 * per_epoch as u64).map(|n| order.batch(n).to_vec()).collect();
            for epoch in batches.chunks(per_epoch) {
                let seen: BTreeSet<u32> = epoch.iter().flatten().copied().collect();
                prop_assert_eq!(seen.len(), per_epoch * batch, "an index came twice");
                prop_assert!(seen.iter().all(|&index| (index as usize) < len));
            }
            for (position, batch) in batches.iter().enumerate().rev() {
                prop_assert_eq!(EpochOrder::new(len, config).unwrap().batch(position as u64).to_vec(), batch.clone());
            }
        }
    }

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

    #[test]
    fn epochs_streams_and_seeds_are_shuffled_differently() {
        let order = |seed, stream, epoch: u64| {
            EpochOrder::new(100, LoaderConfig { batch_size: 100, seed, stream }).unwrap().batch(epoch).to_vec()
        };
        let orders = [order(0, 0, 0), order(0, 0, 1), order(0, 1, 0), order(1, 0, 0)];
        let distinct: BTreeSet<_> = orders.iter().collect();
        assert_eq!(distinct.len(), 4);
    }
}
