//! Which photographs are for training, for selection and for the test.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::names::{Group, PhotographId, SetShape};
use crate::error::{Error, Result};

/// How the photographs are divided. A third of each group is for training, the rest for the test: 15 and 30 of the published 45.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitRule {
    /// Drawn from a seed, with equal numbers from every group.
    Stratified {
        /// The seed of the split.
        seed: u64,
    },
    /// The first third of the numbers is for training, 01 to 05 of the published set, as in most of the literature.
    Literature,
}

/// A division of a set's photographs; each part is sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// For training.
    pub train: Vec<PhotographId>,
    /// Held out from the training part, to choose settings.
    pub validation: Vec<PhotographId>,
    /// For the test, to be read once, at the end.
    pub test: Vec<PhotographId>,
}

impl Partition {
    /// Divides the photographs of `shape` by `rule`; `held_out` photographs of each group's training part become the validation
    /// part.
    ///
    /// # Errors
    /// If a group would have no photograph left for training, or none for the test.
    pub fn new(shape: SetShape, rule: SplitRule, held_out: usize) -> Result<Self> {
        let third = usize::from(shape.numbers) / 3;
        if third == 0 {
            return Err(Error::OutOfRange {
                key: "numbers",
                value: shape.numbers.into(),
                expected: "at least 3 photographs of each group: one trains, two test".into(),
            });
        }
        if held_out >= third {
            return Err(Error::OutOfRange {
                key: "held_out",
                value: held_out,
                expected: format!("less than the {third} photographs of a group that train"),
            });
        }
        let mut partition = Self { train: Vec::new(), validation: Vec::new(), test: Vec::new() };
        for (group, stream) in Group::ALL.into_iter().zip(0..) {
            let mut ids: Vec<_> = (1..=shape.numbers).map(|number| PhotographId { number, group }).collect();
            if let SplitRule::Stratified { seed } = rule {
                let mut generator = ChaCha8Rng::seed_from_u64(seed);
                generator.set_stream(stream);
                ids.shuffle(&mut generator);
            }
            partition.train.extend(&ids[..third - held_out]);
            partition.validation.extend(&ids[third - held_out..third]);
            partition.test.extend(&ids[third..]);
        }
        for part in [&mut partition.train, &mut partition.validation, &mut partition.test] {
            part.sort();
        }
        Ok(partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(ids: &[PhotographId]) -> [usize; 3] {
        Group::ALL.map(|group| ids.iter().filter(|id| id.group == group).count())
    }

    #[test]
    fn every_photograph_is_in_one_part_and_groups_are_alike() {
        for seed in 0..50 {
            for held_out in 0..3 {
                let rule = SplitRule::Stratified { seed };
                let split = Partition::new(SetShape::OFFICIAL, rule, held_out).unwrap();
                assert_eq!(counts(&split.train), [5 - held_out; 3]);
                assert_eq!(counts(&split.validation), [held_out; 3]);
                assert_eq!(counts(&split.test), [10; 3]);
                let mut all = [&split.train[..], &split.validation, &split.test].concat();
                all.sort();
                assert_eq!(all, SetShape::OFFICIAL.photographs().collect::<Vec<_>>());
                // Photographs are held out from the training part only.
                assert_eq!(split.test, Partition::new(SetShape::OFFICIAL, rule, 0).unwrap().test);
            }
        }
        let of = |seed| Partition::new(SetShape::OFFICIAL, SplitRule::Stratified { seed }, 1).unwrap();
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
    }

    #[test]
    fn the_literatures_split_trains_on_the_first_five_numbers() {
        let split = Partition::new(SetShape::OFFICIAL, SplitRule::Literature, 0).unwrap();
        assert_eq!(split.train.iter().map(|id| id.number).max(), Some(5));
        assert_eq!(split.test.iter().map(|id| id.number).min(), Some(6));
        assert_eq!((split.train.len(), split.test.len()), (15, 30));
        assert_eq!(split.train[0].to_string(), "01_dr");
    }

    #[test]
    fn parts_without_photographs_are_refused() {
        let message = Partition::new(SetShape::OFFICIAL, SplitRule::Literature, 5).unwrap_err().to_string();
        assert!(message.contains("`held_out` is 5") && message.contains("less than the 5"), "{message}");
        let small = SetShape { numbers: 2, ..SetShape::OFFICIAL };
        assert!(Partition::new(small, SplitRule::Literature, 0).is_err());
    }
}
