//! Streams of random numbers for the parts of one photograph, so that no part depends on how many numbers another part used.

use std::f32::consts::TAU;

use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The part of a photograph for which a stream of random numbers is used.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(super) enum RandomStream {
    Anatomy = 1,
    Style = 2,
    Arteries = 3,
    Veins = 4,
    Lesions = 5,
    Sensor = 6,
}

/// The random numbers of one part of photograph `index` of `seed`.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64, index: u64, part: RandomStream) -> Self {
        let mut key = [0; 32];
        for (bytes, number) in key.chunks_exact_mut(8).zip([seed, index, part as u64]) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// The random numbers of row `row` of the picture, which do not depend on the other rows.
    pub(super) fn of_row(seed: u64, index: u64, part: RandomStream, row: u64) -> Self {
        let mut dice = Self::new(seed, index, part);
        dice.0.set_stream(row);
        dice
    }

    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        self.0.random_range(low..high)
    }

    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.between(0.0, 1.0) < probability
    }

    pub(super) fn angle(&mut self) -> f32 {
        self.between(0.0, TAU)
    }

    pub(super) fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A normally distributed number (Box-Muller).
    pub(super) fn normal(&mut self, mean: f32, deviation: f32) -> f32 {
        let (radius, angle) = (self.between(f32::MIN_POSITIVE, 1.0), self.angle());
        mean + deviation * (-2.0 * radius.ln()).sqrt() * angle.cos()
    }

    /// A normally distributed number, drawn again until it lies in `low..=high`.
    pub(super) fn normal_within(&mut self, mean: f32, deviation: f32, low: f32, high: f32) -> f32 {
        loop {
            let value = self.normal(mean, deviation);
            if (low..=high).contains(&value) {
                return value;
            }
        }
    }
}
