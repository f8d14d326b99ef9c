//! Where crops lie around the disc: training crops at random places, evaluation crops at a fixed place for each photograph.
//!
//! A crop that is centred on the true disc tells a network where the truth is. So the crops of an evaluation are centred on
//! the disc's centre plus an offset, and training crops move as far.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// How far the centres of crops lie from the disc's centre, in pixels of the official photographs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CropPlacement {
    /// Training crops: the largest offset along rows and columns. It is drawn anew for every sample of every epoch.
    pub translation: usize,
    /// Crops for validation and test: the largest offset along rows and columns. Each photograph has one, which never changes.
    pub jitter: usize,
    /// Seed of the offsets of evaluation crops.
    pub seed: u64,
}

impl CropPlacement {
    /// All crops are centred on the disc.
    pub const CENTRED: Self = Self { translation: 0, jitter: 0, seed: 0 };

    /// The offset (rows, columns) of the evaluation crop of the photograph `case`, in pixels of the official photographs: each
    /// uniform in `-jitter..=jitter`. It depends on the seed and the name alone.
    pub fn evaluation_offset(&self, case: &str) -> [i64; 2] {
        let key = Sha256::new().chain_update(self.seed.to_le_bytes()).chain_update(case).finalize();
        draw(self.jitter, &mut ChaCha8Rng::from_seed(key.into()))
    }

    /// The offset (rows, columns) of a training crop, in pixels of the official photographs: each uniform in
    /// `-translation..=translation`.
    pub(super) fn training_offset(&self, generator: &mut ChaCha8Rng) -> [i64; 2] {
        draw(self.translation, generator)
    }
}

/// Two offsets, each uniform in `-largest..=largest`.
fn draw(largest: usize, generator: &mut ChaCha8Rng) -> [i64; 2] {
    let largest = largest as i64;
    [(); 2].map(|()| generator.random_range(-largest..=largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evaluation_offset_follows_from_seed_and_name_and_covers_its_square() {
        let placement = CropPlacement { translation: 0, jitter: 48, seed: 3 };
        let names: Vec<String> = (1..=400).map(|number| format!("T{number:04}")).collect();
        let offsets: Vec<[i64; 2]> = names.iter().map(|name| placement.evaluation_offset(name)).collect();
        for (name, offset) in names.iter().zip(&offsets) {
            assert_eq!(placement.evaluation_offset(name), *offset);
            assert!(offset.iter().all(|offset| (-48..=48).contains(offset)), "{name}: {offset:?}");
        }
        let distinct: std::collections::BTreeSet<_> = offsets.iter().collect();
        assert!(distinct.len() > 380, "{} of 400 offsets are distinct", distinct.len());
        for axis in [0, 1] {
            // Each third of the range has about a third of the photographs.
            let of = |range: std::ops::RangeInclusive<i64>| offsets.iter().filter(|o| range.contains(&o[axis])).count();
            let thirds = [of(-48..=-17), of(-16..=16), of(17..=48)];
            assert!(thirds.iter().all(|count| (95..175).contains(count)), "{thirds:?}");
        }
        let other = CropPlacement { seed: 4, ..placement };
        assert!(
            names.iter().zip(&offsets).filter(|(name, offset)| other.evaluation_offset(name) == **offset).count() < 10
        );
        assert_eq!(CropPlacement::CENTRED.evaluation_offset("T0001"), [0, 0]);
    }
}
