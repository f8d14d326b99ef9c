//! Random patches of photographs, changed at random, in an order that follows from a seed and a position alone.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::labels::{CLASS, FIELD, vessel};
use super::photograph::Photograph;
use crate::augment::{Augmentation, Change, Crop};
use crate::cutter::Cutter;
use crate::dataset::Sample;
use crate::error::{Error, Result};
use crate::order::{EpochOrder, LoaderConfig};
use crate::prefetch::Prefetch;

/// The stream from which the order of the photographs is drawn.
const SHUFFLE: u64 = 0;
/// The stream from which places and changes of patches are drawn.
const PATCH: u64 = 1;

/// How patches are cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PatchConfig {
    /// Side of a patch in pixels.
    pub side: usize,
    /// Patches in a batch.
    pub batch_size: usize,
    /// Every patch is a function of it.
    pub seed: u64,
    /// How patches are changed.
    pub augment: Augmentation,
    /// Threads that prepare batches ahead. The batches do not depend on it.
    pub workers: usize,
}

/// An endless stream of batches: inputs `[B, 3, S, S]` f32 in 0..=1, black outside of the photograph; targets `[B, 2, S, S]`
/// u8, first vessel (1) or not (0), then the artery/vein [`Class`](super::Class), both 0 outside of the photograph.
///
/// The photographs take turns in an order that is shuffled anew for every round. The centre of a patch lies in the field of view,
/// uniformly among the places where the patch stays inside the photograph; a patch that is larger than the photograph is centred.
pub struct Patches {
    batches: Prefetch<Sample>,
}

impl Patches {
    /// A stream whose first batch is number `position`.
    ///
    /// # Errors
    /// If there are no photographs or a setting is out of range.
    pub fn new(photographs: Vec<Arc<Photograph>>, config: PatchConfig, position: u64) -> Result<Self> {
        Self::on(&Device::Cpu, photographs, config, position)
    }

    /// As [`Patches::new`], but batches are also moved to `device` ahead of their use.
    ///
    /// # Errors
    /// As [`Patches::new`].
    pub fn on(device: &Device, photographs: Vec<Arc<Photograph>>, config: PatchConfig, position: u64) -> Result<Self> {
        let photographs = checked(photographs, config)?;
        let workers = (0..config.workers).map(|_| {
            let (mut order, device) = (PatchOrder::new(photographs.clone(), config)?, device.clone());
            Ok(move |position| order.batch(position)?.on(&device))
        });
        Ok(Self { batches: Prefetch::new(position, 1, workers.collect::<Result<Vec<_>>>()?)? })
    }

    /// As [`Patches::new`], but `cutter` cuts the patches: its picture n is photograph n, its label planes are those of
    /// [`target_planes`](super::target_planes). The tensors stay where the cutter leaves them.
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
        // A card cuts faster than it trains, so one thread is enough.
        let (mut order, cutter) = (PatchOrder::new(photographs, config)?, cutter.clone());
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
}

/// The photographs.
///
/// # Errors
/// If there are none, or a setting is out of range.
fn checked(photographs: Vec<Arc<Photograph>>, config: PatchConfig) -> Result<Arc<Vec<Arc<Photograph>>>> {
    config.augment.check()?;
    let counts = [("side", config.side), ("batch_size", config.batch_size), ("photographs", photographs.len())];
    match counts.into_iter().find(|(_, value)| *value == 0) {
        Some((key, value)) => Err(Error::OutOfRange { key, value, expected: "at least 1".into() }),
        None => Ok(Arc::new(photographs)),
    }
}

/// How one patch is made.
struct PatchPlan {
    /// The photograph's index.
    index: usize,
    crop: Crop,
    change: Change,
}

/// Makes patches by their number.
struct PatchOrder {
    photographs: Arc<Vec<Arc<Photograph>>>,
    config: PatchConfig,
    /// The order of the photographs.
    order: EpochOrder,
}

impl PatchOrder {
    fn new(photographs: Arc<Vec<Arc<Photograph>>>, config: PatchConfig) -> Result<Self> {
        let order = EpochOrder::new(photographs.len(), one_by_one(config.seed, SHUFFLE))?;
        Ok(Self { photographs, config, order })
    }

    /// Batch `position`: its patches one after the other.
    fn batch(&mut self, position: u64) -> Result<Sample> {
        let (side, count) = (self.config.side, self.config.batch_size);
        let plane = side * side;
        let (mut inputs, mut targets) = (vec![0.0; count * 3 * plane], vec![0; count * 2 * plane]);
        let mut marks = vec![0; plane];
        let parts = inputs.chunks_exact_mut(3 * plane).zip(targets.chunks_exact_mut(2 * plane));
        for (number, (input, target)) in (position * count as u64..).zip(parts) {
            let PatchPlan { index, crop, change } = self.plan(number);
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

    /// What patch `number` is.
    fn plan(&mut self, number: u64) -> PatchPlan {
        let index = self.order.batch(number)[0].index as usize;
        let mut generator = one_by_one(self.config.seed, PATCH).generator(number, 0);
        let crop = place(&self.photographs[index], self.config.side, &mut generator);
        PatchPlan { index, crop, change: self.config.augment.draw(&mut generator) }
    }
}

/// Single patches, whose random numbers come from `stream` of `seed`.
fn one_by_one(seed: u64, stream: u64) -> LoaderConfig {
    LoaderConfig { batch_size: 1, seed, stream }
}

/// Draws places until the centre of one lies in the field of view, at most a thousand times; then the last one is taken.
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
