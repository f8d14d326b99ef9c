//! The order in which samples come: a function of a seed and a position alone.

use std::collections::BTreeMap;

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

/// A sample of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    /// The sample's index.
    pub(crate) index: u32,
    /// How often it has come before in this epoch.
    pub(crate) repeat: u32,
}

/// The order in which the samples of a set come: every epoch is a new shuffle, whose last incomplete batch is left out.
#[derive(Clone)]
pub(crate) struct EpochOrder {
    config: LoaderConfig,
    /// The samples of each class, whose turns alternate; a single one for a plain shuffle.
    classes: Vec<Vec<u32>>,
    /// The epoch that `turns` are the shuffle of.
    epoch: Option<u64>,
    turns: Vec<Turn>,
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
        Ok(Self { config, classes: vec![(0..len as u32).collect()], epoch: None, turns: vec![Turn::default(); len] })
    }

    /// The order of a set where sample n belongs to class `classes[n]`: as many turns per epoch as there are samples, and the classes
    /// come in turn, so that a batch has each of them equally often, or one more of some. Within a class, every sample comes once before
    /// one of them comes again.
    ///
    /// # Errors
    /// As [`EpochOrder::new`].
    pub(crate) fn balanced(classes: &[u32], config: LoaderConfig) -> Result<Self> {
        let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (index, class) in (0..).zip(classes) {
            members.entry(*class).or_default().push(index);
        }
        Ok(Self { classes: members.into_values().collect(), ..Self::new(classes.len(), config)? })
    }

    fn batches_per_epoch(&self) -> u64 {
        (self.turns.len() / self.config.batch_size) as u64
    }

    /// The epoch in which batch `position` lies.
    pub(crate) fn epoch(&self, position: u64) -> u64 {
        position / self.batches_per_epoch()
    }

    /// The samples of batch `position`.
    pub(crate) fn batch(&mut self, position: u64) -> &[Turn] {
        let epoch = self.epoch(position);
        if self.epoch != Some(epoch) {
            self.shuffle(epoch);
            self.epoch = Some(epoch);
        }
        let first = (position % self.batches_per_epoch()) as usize * self.config.batch_size;
        &self.turns[first..first + self.config.batch_size]
    }

    fn shuffle(&mut self, epoch: u64) {
        let (mut generator, len, count) = (self.config.generator(epoch, 0), self.turns.len(), self.classes.len());
        for (class, members) in self.classes.iter().enumerate() {
            let places = (class..len).step_by(count);
            let mut shuffled = Vec::with_capacity(places.len());
            for repeat in 0.. {
                if shuffled.len() >= places.len() {
                    break;
                }
                let mut indices = members.clone();
                indices.shuffle(&mut generator);
                shuffled.extend(indices.into_iter().map(|index| Turn { index, repeat }));
            }
            places.zip(shuffled).for_each(|(place, turn)| self.turns[place] = turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn indices(order: &mut EpochOrder, position: u64) -> Vec<u32> {
        order.batch(position).iter().map(|turn| turn.index).collect()
    }

    proptest! {
        #[test]
        fn balanced_batches_have_every_class_equally_often(
            classes in proptest::collection::vec(0u32..3, 1..60),
            batch in 1usize..20,
            seed: u64,
        ) {
            prop_assume!(batch <= classes.len());
            let config = LoaderConfig { batch_size: batch, seed, stream: 1 };
            let present: BTreeSet<u32> = classes.iter().copied().collect();
            let (per_epoch, positions) = (classes.len() / batch, 2 * classes.len() / batch);
            let mut order = EpochOrder::balanced(&classes, config).unwrap();
            let batches: Vec<Vec<Turn>> = (0..positions as u64).map(|n| order.batch(n).to_vec()).collect();
            for batch in &batches {
                let count = |class: u32| batch.iter().filter(|turn| classes[turn.index as usize] == class).count();
                let counts: Vec<usize> = present.iter().map(|&class| count(class)).collect();
                prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
            }
            for epoch in batches.chunks(per_epoch) {
                let turns: BTreeSet<Turn> = epoch.iter().flatten().copied().collect();
                prop_assert_eq!(turns.len(), epoch.concat().len(), "the same turn twice");
                // Within a class, no sample comes twice more often than another one.
                for &class in &present {
                    let times = |index: u32| epoch.iter().flatten().filter(|turn| turn.index == index).count();
                    let of_class = (0..).zip(&classes).filter(|(_, other)| **other == class);
                    let times: Vec<usize> = of_class.map(|(index, _)| times(index)).collect();
                    // The batches that an epoch leaves out may have held some of the turns.
                    prop_assert!(times.iter().max().unwrap() - times.iter().min().unwrap() <= 1 + batch, "{times:?}");
                }
            }
            for (position, batch) in batches.iter().enumerate().rev() {
                let mut entered = EpochOrder::balanced(&classes, config).unwrap();
                prop_assert_eq!(entered.batch(position as u64), &batch[..]);
            }
        }

        #[test]
        fn an_epoch_is_a_shuffle_and_any_position_can_be_entered(len in 1usize..60, batch in 1usize..20, seed: u64) {
            prop_assume!(batch <= len);
            let config = LoaderConfig { batch_size: batch, seed, stream: 1 };
            let per_epoch = len / batch;
            let mut order = EpochOrder::new(len, config).unwrap();
            let batches: Vec<Vec<u32>> = (0..3 * per_epoch as u64).map(|n| indices(&mut order, n)).collect();
            for epoch in batches.chunks(per_epoch) {
                let seen: BTreeSet<u32> = epoch.iter().flatten().copied().collect();
                prop_assert_eq!(seen.len(), per_epoch * batch, "an index came twice");
                prop_assert!(seen.iter().all(|&index| (index as usize) < len));
            }
            for (position, batch) in batches.iter().enumerate().rev() {
                prop_assert_eq!(indices(&mut EpochOrder::new(len, config).unwrap(), position as u64), batch.clone());
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
            let got: Vec<u32> = (9 * epoch..9 * (epoch + 1)).map(|position| order.batch(position)[0].index).collect();
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn epochs_streams_and_seeds_are_shuffled_differently() {
        let order = |seed, stream, epoch: u64| {
            indices(&mut EpochOrder::new(100, LoaderConfig { batch_size: 100, seed, stream }).unwrap(), epoch)
        };
        let orders = [order(0, 0, 0), order(0, 0, 1), order(0, 1, 0), order(1, 0, 0)];
        let distinct: BTreeSet<_> = orders.iter().collect();
        assert_eq!(distinct.len(), 4);
    }
}
