//! Random patches of photographs, changed at random, in an order that follows from a seed and a position alone.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::labels::{CLASS, FIELD};
use super::{Photograph, vessel};
use crate::augment::{Augmentation, Crop};
use crate::dataset::Sample;
use crate::error::{Error, Result};
use crate::prefetch::Prefetch;

/// Numbers of the generator's streams, by what is drawn from them.
const SHUFFLE: u64 = 0;
/// See [`SHUFFLE`].
const PATCH: u64 = 1;

/// How patches are cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PatchConfig {
    /// Side of a patch in pixels.
    pub side: usize,
    /// Patches in a batch.
    pub batch_size: usize,
    /// Every patch follows from it.
    pub seed: u64,
    /// How patches are changed.
    pub augment: Augmentation,
    /// Threads that prepare batches ahead. The batches do not depend on it.
    pub workers: usize,
}

/// An endless stream of batches: inputs `[B, 3, S, S]` f32 in 0..=1, black beyond the photograph; targets `[B, 2, S, S]` u8, first
/// vessel (1) or not, then the artery/vein [`Class`](super::Class), both 0 beyond the photograph.
///
/// The photographs take turns, shuffled anew every round. A patch's centre lies in the field of view, evenly among the places
/// where the patch stays inside the photograph (in its middle where the patch is larger).
pub struct Patches {
    batches: Prefetch<Sample>,
}

impl Patches {
    /// The stream entered at batch `position`.
    ///
    /// # Errors
    /// If there are no photographs or a setting is out of range.
    pub fn new(photographs: Vec<Arc<Photograph>>, config: PatchConfig, position: u64) -> Result<Self> {
        config.augment.check()?;
        let counts = [("side", config.side), ("batch_size", config.batch_size), ("photographs", photographs.len())];
        if let Some((key, value)) = counts.into_iter().find(|(_, value)| *value == 0) {
            return Err(Error::OutOfRange { key, value, expected: "at least 1".into() });
        }
        let photographs = Arc::new(photographs);
        let workers = (0..config.workers).map(|_| {
            let mut cutter = Cutter::new(photographs.clone(), config);
            move |position| cutter.batch(position)
        });
        Ok(Self { batches: Prefetch::new(position, 1, workers.collect())? })
    }

    /// The next batch, waiting for it if it is not ready.
    ///
    /// # Errors
    /// If it cannot be made.
    #[expect(clippy::should_implement_trait, reason = "the stream never ends, so an Option would mislead")]
    pub fn next(&mut self) -> Result<Sample> {
        self.batches.next()
    }

    /// The number of the batch that comes next: where to enter again.
    pub fn position(&self) -> u64 {
        self.batches.position()
    }
}

/// Makes batches by their number.
struct Cutter {
    photographs: Arc<Vec<Arc<Photograph>>>,
    config: PatchConfig,
    /// The round whose order was last needed.
    round: Option<u64>,
    order: Vec<usize>,
}

impl Cutter {
    fn new(photographs: Arc<Vec<Arc<Photograph>>>, config: PatchConfig) -> Self {
        Self { photographs, config, round: None, order: Vec::new() }
    }

    fn batch(&mut self, position: u64) -> Result<Sample> {
        let (side, count) = (self.config.side, self.config.batch_size);
        let plane = side * side;
        let (mut inputs, mut targets) = (vec![0.0; count * 3 * plane], vec![0; count * 2 * plane]);
        let mut marks = vec![0; plane];
        let parts = inputs.chunks_exact_mut(3 * plane).zip(targets.chunks_exact_mut(2 * plane));
        for (number, (input, target)) in (position * count as u64..).zip(parts) {
            let photograph = self.turn(number);
            let mut generator = generator(self.config.seed, PATCH, number);
            let crop = place(&photograph, side, &mut generator);
            let change = self.config.augment.draw(&mut generator);
            change.picture(photograph.pixels(), crop, input);
            change.labels(photograph.marks(), crop, 0, &mut marks);
            let (vessels, classes) = target.split_at_mut(plane);
            for ((&mark, is_vessel), class) in marks.iter().zip(vessels).zip(classes) {
                (*is_vessel, *class) = (vessel(mark), mark & CLASS);
            }
        }
        Ok(Sample {
            inputs: Tensor::from_vec(inputs, (count, 3, side, side), &Device::Cpu)?,
            targets: Tensor::from_vec(targets, (count, 2, side, side), &Device::Cpu)?,
        })
    }

    /// The photograph whose turn patch `number` is.
    fn turn(&mut self, number: u64) -> Arc<Photograph> {
        let count = self.photographs.len() as u64;
        let round = number / count;
        if self.round != Some(round) {
            self.order = (0..self.photographs.len()).collect();
            self.order.shuffle(&mut generator(self.config.seed, SHUFFLE, round));
            self.round = Some(round);
        }
        self.photographs[self.order[(number % count) as usize]].clone()
    }
}

fn generator(seed: u64, purpose: u64, number: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, number) in key.chunks_exact_mut(8).zip([seed, purpose, number]) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// Draws places until one has its centre in the field of view; the last one if the field is that small.
fn place(photograph: &Photograph, side: usize, generator: &mut ChaCha8Rng) -> Crop {
    const TRIES: usize = 1000;
    let marks = photograph.marks();
    let half = side as f64 / 2.0;
    let mut center = |length: usize| match length.checked_sub(side) {
        Some(free) => generator.random_range(0..=free as u64) as f64 + half,
        None => length as f64 / 2.0,
    };
    let mut crop = Crop { center: [0.0; 2], size: [side; 2] };
    for _ in 0..TRIES {
        crop.center = [center(marks.width), center(marks.height)];
        let [x, y] = crop.center.map(|place| place as usize);
        if marks.bytes[y * marks.width + x] & FIELD != 0 {
            break;
        }
    }
    crop
}
