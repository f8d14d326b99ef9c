//! Random patches of photographs, changed at random, in an order that follows from a seed and a position alone.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::labels::{CLASS, FIELD};
use super::{Photograph, vessel};
use crate::augment::{Augmentation, Change, Crop};
use crate::cutter::Cutter;
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
        Self::on(&Device::Cpu, photographs, config, position)
    }

    /// [`Patches::new`] whose batches are moved to `device` ahead of their use, too.
    ///
    /// # Errors
    /// As [`Patches::new`].
    pub fn on(device: &Device, photographs: Vec<Arc<Photograph>>, config: PatchConfig, position: u64) -> Result<Self> {
        let photographs = checked(photographs, config)?;
        let workers = (0..config.workers).map(|_| {
            let (mut order, device) = (PatchOrder::new(photographs.clone(), config), device.clone());
            move |position| order.batch(position)?.on(&device)
        });
        Ok(Self { batches: Prefetch::new(position, 1, workers.collect())? })
    }

    /// [`Patches::new`] whose patches are cut by `cutter`, which has the photographs' pixels and says of each pixel whether it is of
    /// a vessel and its class, and which lie where the cutter leaves them.
    ///
    /// # Errors
    /// As [`Patches::new`].
    pub fn cut_by(
        cutter: &Arc<dyn Cutter>,
        photographs: Vec<Arc<Photograph>>,
        config: PatchConfig,
        position: u64,
    ) -> Result<Self> {
        let photographs = checked(photographs, config)?;
        // The card cuts faster than it trains: one thread is enough to ask.
        let (mut order, cutter) = (PatchOrder::new(photographs, config), cutter.clone());
        let make = move |position: u64| {
            let first = position * config.batch_size as u64;
            let cuts = (first..first + config.batch_size as u64).map(|number| {
                let plan = order.plan(number);
                cutter.cut(plan.index, &plan.change, plan.crop)
            });
            let (inputs, targets): (Vec<Tensor>, Vec<Tensor>) = cuts.collect::<Result<Vec<_>>>()?.into_iter().unzip();
            Ok(Sample { inputs: Tensor::stack(&inputs, 0)?, targets: Tensor::stack(&targets, 0)? })
        };
        Ok(Self { batches: Prefetch::new(position, 1, vec![make])? })
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

/// The photographs, if there are any and the settings are in range.
fn checked(photographs: Vec<Arc<Photograph>>, config: PatchConfig) -> Result<Arc<Vec<Arc<Photograph>>>> {
    config.augment.check()?;
    let counts = [("side", config.side), ("batch_size", config.batch_size), ("photographs", photographs.len())];
    match counts.into_iter().find(|(_, value)| *value == 0) {
        Some((key, value)) => Err(Error::OutOfRange { key, value, expected: "at least 1".into() }),
        None => Ok(Arc::new(photographs)),
    }
}

/// What a patch is.
struct Plan {
    /// Of the photograph.
    index: usize,
    crop: Crop,
    change: Change,
}

/// What patches are, by their number.
struct PatchOrder {
    photographs: Arc<Vec<Arc<Photograph>>>,
    config: PatchConfig,
    /// The round whose order was last needed.
    round: Option<u64>,
    order: Vec<usize>,
}

impl PatchOrder {
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
            let Plan { index, crop, change } = self.plan(number);
            let photograph = &self.photographs[index];
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

    fn plan(&mut self, number: u64) -> Plan {
        let index = self.turn(number);
        let mut generator = generator(self.config.seed, PATCH, number);
        let crop = place(&self.photographs[index], self.config.side, &mut generator);
        Plan { index, crop, change: self.config.augment.draw(&mut generator) }
    }

    /// The photograph whose turn patch `number` is.
    fn turn(&mut self, number: u64) -> usize {
        let count = self.photographs.len() as u64;
        let round = number / count;
        if self.round != Some(round) {
            self.order = (0..self.photographs.len()).collect();
            self.order.shuffle(&mut generator(self.config.seed, SHUFFLE, round));
            self.round = Some(round);
        }
        self.order[(number % count) as usize]
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
