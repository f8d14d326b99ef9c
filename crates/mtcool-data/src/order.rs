//! The order in which samples come: a function of a seed and a position alone.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};

/// How a loader shuffles samples and cuts them into batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Samples in a batch: at least 1, at most the data set's size.
    pub batch_size: usize,
    /// Seed of the shuffles.
    pub seed: u64,
    /// A number by which loaders with the same seed differ, such as the task's index.
    pub stream: u64,
}

impl LoaderConfig {
    /// The generator of `epoch` and `detail`: other numbers give another, independent sequence.
    pub(crate) fn generator(&self, epoch: u64, detail: u64) -> ChaCha8Rng {
        let mut key = [0; 32];
        for (bytes, number) in key.chunks_exact_mut(8).zip([self.seed, self.stream, epoch, detail]) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }
}

/// The order in which the samples of a set come: every epoch is a new shuffle, whose last incomplete batch is left out.
#[derive(Clone)]
pub(crate) struct EpochOrder {
    config: LoaderConfig,
    /// The epoch that `indices` are the shuffle of.
    epoch: Option<u64>,
    indices: Vec<u32>,
}

impl EpochOrder {
    /// The order of a set of `len` samples.
    ///
    /// # Errors
    /// If the batch size is 0 or larger than the set.
    pub(crate) fn new(len: usize, config: LoaderConfig) -> Result<Self> {
        if !(1..=len).contains(&config.batch_size) {
            return Err(Error::OutOfRange {
                key: "batch_size",
                value: config.batch_size,
                expected: format!("at least 1 and at most the {len} samples of the data set"),
            });
        }
        Ok(Self { config, epoch: None, indices: vec![0; len] })
    }

    fn batches_per_epoch(&self) -> u64 {
        (self.indices.len() / self.config.batch_size) as u64
    }

    /// The epoch in which batch `position` lies.
    pub(crate) fn epoch(&self, position: u64) -> u64 {
        position / self.batches_per_epoch()
    }

    /// The indices of batch `position`.
    pub(crate) fn batch(&mut self, position: u64) -> &[u32] {
        let epoch = self.epoch(position);
        if self.epoch != Some(epoch) {
            self.indices.iter_mut().zip(0..).for_each(|(index, value)| *index = value);
            self.indices.shuffle(&mut self.config.generator(epoch, 0));
            self.epoch = Some(epoch);
        }
        let first = (position % self.batches_per_epoch()) as usize * self.config.batch_size;
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

    #[test]
    fn the_generator_of_an_epoch_is_addressed_by_four_numbers() {
        let config = LoaderConfig { batch_size: 1, seed: 5, stream: 2 };
        let mut order = EpochOrder::new(9, config).unwrap();
        for epoch in 0..3u64 {
            let key: Vec<u8> = [5, 2, epoch, 0].iter().flat_map(|number: &u64| number.to_le_bytes()).collect();
            let mut expected: Vec<u32> = (0..9).collect();
            expected.shuffle(&mut ChaCha8Rng::from_seed(key.try_into().unwrap()));
            let got: Vec<u32> = (9 * epoch..9 * (epoch + 1)).map(|position| order.batch(position)[0]).collect();
            assert_eq!(got, expected);
        }
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
