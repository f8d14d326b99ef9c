//! Samples that serve several tasks at once: one image, a target for each task.

use std::collections::VecDeque;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use rand_chacha::ChaCha8Rng;

use crate::dataset::Sample;
use crate::error::{Error, Result};
use crate::order::{EpochOrder, LoaderConfig, Turn};
use crate::prefetch::Prefetch;

/// The largest number of threads that prepare batches.
const MOST_WORKERS: usize = 4;

/// A batch of samples with the targets of every task.
#[derive(Clone, Debug)]
pub struct SharedSample {
    /// `[B, ...]`.
    pub inputs: Tensor,
    /// `[B, ...]` for each task.
    pub targets: Vec<Tensor>,
}

impl SharedSample {
    /// A copy on `device`.
    ///
    /// # Errors
    /// If the device has no room for it.
    pub fn on(&self, device: &Device) -> Result<Self> {
        let targets = self.targets.iter().map(|target| target.to_device(device));
        Ok(Self { inputs: self.inputs.to_device(device)?, targets: targets.collect::<candle_core::Result<_>>()? })
    }
}

/// A sample to read, and the random numbers that decide how it is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleDraw {
    /// The sample's index in its set.
    pub index: u32,
    /// How often it has come before in this epoch.
    repeat: u32,
    epoch: u64,
    config: LoaderConfig,
}

impl SampleDraw {
    /// Sample `index` outside of any training: its random numbers depend on the index alone.
    pub fn plain(index: u32) -> Self {
        Self { index, repeat: 0, epoch: 0, config: LoaderConfig { batch_size: 1, seed: 0, stream: 0 } }
    }

    fn new(turn: Turn, epoch: u64, config: LoaderConfig) -> Self {
        Self { index: turn.index, repeat: turn.repeat, epoch, config }
    }

    /// The random numbers of this sample in this epoch; they do not depend on its batch.
    pub fn generator(&self) -> ChaCha8Rng {
        // The shuffle of the epoch uses detail 0.
        self.config.generator(self.epoch, (u64::from(self.repeat) << 32) + 1 + u64::from(self.index))
    }
}

/// A finite set of samples, each of which serves all tasks.
pub trait SharedDataset: Send + Sync {
    /// How many tasks there are.
    fn tasks(&self) -> usize;

    /// How many samples there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The samples `draws`, in that order.
    ///
    /// # Errors
    /// If one cannot be read.
    fn read(&self, draws: &[SampleDraw]) -> Result<SharedSample>;

    /// Whether sample `index` has a label of task `task`. If not, its target says so in a way that the task's loss leaves out.
    fn has_label(&self, task: usize, index: u32) -> bool {
        let _ = (task, index);
        true
    }

    /// The class of each sample, if every batch shall have each class equally often; samples of rare classes then come several times
    /// per epoch. By default every sample comes once.
    fn balanced_classes(&self) -> Option<Vec<u32>> {
        None
    }
}

/// An endless stream of batches for each task; batch n has the same images for all tasks. It shuffles and cuts as
/// [`crate::Loader`] does.
///
/// Where samples lack labels, batch n still has at least one label of each task: if none of its samples has a label of a task,
/// this task gets, in its place, a batch of other samples that all have one. So no method meets a task without a label.
///
/// The batch at position n is a function of the data set, the config and n, so the position is the only state to save. A batch
/// is kept until every task has received it, since tasks may run ahead of each other.
pub struct SharedLoader {
    batches: Prefetch<Prepared>,
    waiting: VecDeque<Prepared>,
    /// Position of the first batch in `waiting`.
    first: u64,
    /// Each task's next position.
    next: Vec<u64>,
}

/// A batch, and the samples of those tasks that have no label in it.
struct Prepared {
    batch: SharedSample,
    replacements: Vec<Option<Sample>>,
}

/// The samples of a set that have a label of one task, in an order of their own.
#[derive(Clone)]
struct LabelledOrder {
    samples: Vec<u32>,
    order: EpochOrder,
    config: LoaderConfig,
}

impl LabelledOrder {
    /// The samples of `data` with a label of `task`; `None` if all samples have one. Its batches are not larger than the number
    /// of such samples.
    ///
    /// # Errors
    /// If no sample has a label.
    fn new(data: &dyn SharedDataset, task: usize, config: LoaderConfig) -> Result<Option<Self>> {
        let samples: Vec<u32> = (0..data.len() as u32).filter(|&index| data.has_label(task, index)).collect();
        if samples.len() == data.len() {
            return Ok(None);
        }
        if samples.is_empty() {
            let expected = format!("a task with at least one label among the {} training samples", data.len());
            return Err(Error::OutOfRange { key: "task", value: task, expected });
        }
        // Other numbers than those of the shared batches.
        let stream = config.stream ^ ((task as u64 + 1) << 32);
        let config = LoaderConfig { batch_size: config.batch_size.min(samples.len()), stream, ..config };
        Ok(Some(Self { order: EpochOrder::new(samples.len(), config)?, samples, config }))
    }

    /// Batch `position` of task `task`.
    fn read(&mut self, data: &dyn SharedDataset, task: usize, position: u64) -> Result<SharedSample> {
        let (epoch, config) = (self.order.epoch(position), self.config);
        let picked = self.order.batch(position).iter();
        let picked = picked.map(|turn| Turn { index: self.samples[turn.index as usize], ..*turn });
        let mut batch = data.read(&picked.map(|turn| SampleDraw::new(turn, epoch, config)).collect::<Vec<_>>())?;
        Ok(SharedSample { targets: vec![batch.targets.swap_remove(task)], inputs: batch.inputs })
    }
}

impl SharedLoader {
    /// A loader whose first batch, for every task, is number `position` of the stream.
    ///
    /// # Errors
    /// If the batch size is 0 or larger than the data set, or no sample has a label of one of the tasks.
    pub fn new(data: Arc<dyn SharedDataset>, config: LoaderConfig, position: u64) -> Result<Self> {
        Self::on(&Device::Cpu, data, config, position)
    }

    /// As [`SharedLoader::new`], but batches are also moved to `device` ahead of their use.
    ///
    /// # Errors
    /// As [`SharedLoader::new`].
    pub fn on(device: &Device, data: Arc<dyn SharedDataset>, config: LoaderConfig, position: u64) -> Result<Self> {
        let order = match data.balanced_classes() {
            Some(classes) => EpochOrder::balanced(&classes, config),
            None => EpochOrder::new(data.len(), config),
        };
        let (mut order, device) = (order?, device.clone());
        let next = vec![position; data.tasks()];
        let labelled = (0..data.tasks()).map(|task| LabelledOrder::new(data.as_ref(), task, config));
        let mut labelled = labelled.collect::<Result<Vec<_>>>()?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let read = move |position| {
            let epoch = order.epoch(position);
            let draws: Vec<SampleDraw> =
                order.batch(position).iter().map(|&turn| SampleDraw::new(turn, epoch, config)).collect();
            let batch = data.read(&draws)?.on(&device)?;
            let replacements = labelled.iter_mut().enumerate().map(|(task, labelled)| match labelled {
                Some(labelled) if !draws.iter().any(|draw| data.has_label(task, draw.index)) => {
                    let mut own = labelled.read(data.as_ref(), task, position)?.on(&device)?;
                    Ok(Some(Sample { inputs: own.inputs, targets: own.targets.swap_remove(0) }))
                }
                _ => Ok(None),
            });
            Ok(Prepared { replacements: replacements.collect::<Result<_>>()?, batch })
        };
        let batches = Prefetch::new(position, 1, vec![read; (cores / 2).clamp(1, MOST_WORKERS)])?;
        Ok(Self { batches, waiting: VecDeque::new(), first: position, next })
    }

    /// The next batch of task `task`, waiting for it if it is not ready. Tasks at the same position get the same input tensor,
    /// unless one of them has no label in it.
    ///
    /// # Errors
    /// If it cannot be read, or there is no such task.
    pub fn next(&mut self, task: usize) -> Result<Sample> {
        let tasks = self.next.len();
        let position = self.next.get_mut(task).ok_or_else(|| Error::OutOfRange {
            key: "task",
            value: task,
            expected: format!("one of the {tasks} tasks"),
        })?;
        let place = (*position - self.first) as usize;
        while self.waiting.len() <= place {
            self.waiting.push_back(self.batches.next()?);
        }
        *position += 1;
        let Prepared { batch, replacements } = &self.waiting[place];
        let shared = || Sample { inputs: batch.inputs.clone(), targets: batch.targets[task].clone() };
        let sample = replacements[task].clone().unwrap_or_else(shared);
        while self.next.iter().all(|&next| next > self.first) {
            self.waiting.pop_front();
            self.first += 1;
        }
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use rand::RngCore;

    use super::*;

    /// The target of task 0 is the index, that of task 1 the sample's random number.
    struct Numbers;

    impl SharedDataset for Numbers {
        fn tasks(&self) -> usize {
            2
        }

        fn len(&self) -> usize {
            10
        }

        fn read(&self, draws: &[SampleDraw]) -> Result<SharedSample> {
            let indices: Vec<u32> = draws.iter().map(|draw| draw.index).collect();
            let random: Vec<u32> = draws.iter().map(|draw| draw.generator().next_u32()).collect();
            let inputs = Tensor::new(indices, &Device::Cpu)?;
            Ok(SharedSample { targets: vec![inputs.clone(), Tensor::new(random, &Device::Cpu)?], inputs })
        }
    }

    fn loader(batch_size: usize, position: u64) -> SharedLoader {
        SharedLoader::new(Arc::new(Numbers), LoaderConfig { batch_size, seed: 5, stream: 2 }, position).unwrap()
    }

    fn numbers(tensor: &Tensor) -> Vec<u32> {
        tensor.to_vec1().unwrap()
    }

    #[test]
    fn tasks_get_the_same_images_however_far_they_run_ahead_of_each_other() {
        let mut even = loader(3, 0);
        let expected: Vec<[Sample; 2]> = (0..12).map(|_| [even.next(0).unwrap(), even.next(1).unwrap()]).collect();
        for [first, second] in &expected {
            assert_eq!(first.inputs.id(), second.inputs.id());
            assert_eq!(numbers(&first.targets), numbers(&second.inputs));
        }
        let mut uneven = loader(3, 0);
        let mut position = [0, 0];
        for task in [0, 0, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 0, 0] {
            let sample = uneven.next(task).unwrap();
            let wanted = &expected[position[task]][task];
            assert_eq!(numbers(&sample.inputs), numbers(&wanted.inputs));
            assert_eq!(numbers(&sample.targets), numbers(&wanted.targets));
            position[task] += 1;
        }
        assert_eq!(uneven.waiting.len(), position[0].abs_diff(position[1]));
        assert!(uneven.next(2).is_err());
    }

    #[test]
    fn a_loader_goes_on_from_any_position() {
        let mut whole = loader(3, 0);
        let all: Vec<Vec<u32>> = (0..14).map(|_| numbers(&whole.next(1).unwrap().targets)).collect();
        for position in [1, 4, 9] {
            let mut resumed = loader(3, position);
            for expected in &all[position as usize..] {
                assert_eq!(&numbers(&resumed.next(1).unwrap().targets), expected);
            }
        }
    }

    #[test]
    fn a_samples_random_numbers_depend_on_the_epoch_and_not_on_its_batch() {
        let epochs = |batch_size: usize| -> Vec<std::collections::BTreeMap<u32, u32>> {
            let mut loader = loader(batch_size, 0);
            let mut epoch = || {
                let batches = (0..10 / batch_size).map(|_| (loader.next(0).unwrap(), loader.next(1).unwrap()));
                batches.flat_map(|(a, b)| numbers(&a.targets).into_iter().zip(numbers(&b.targets))).collect()
            };
            vec![epoch(), epoch()]
        };
        let (single, five) = (epochs(1), epochs(5));
        assert_eq!(single, five);
        assert_eq!(single[0].len(), 10);
        for (index, number) in &single[0] {
            assert_ne!(single[1][index], *number, "sample {index} is changed alike in both epochs");
        }
        assert_ne!(SampleDraw::plain(0).generator().next_u32(), SampleDraw::plain(1).generator().next_u32());
    }

    /// Task 0 has labels of samples 0 to 2, task 1 of all samples; targets are the indices, 99 where there is no label.
    struct Partly;

    impl SharedDataset for Partly {
        fn tasks(&self) -> usize {
            2
        }

        fn len(&self) -> usize {
            10
        }

        fn read(&self, draws: &[SampleDraw]) -> Result<SharedSample> {
            let indices: Vec<u32> = draws.iter().map(|draw| draw.index).collect();
            let label = |index: &u32| if self.has_label(0, *index) { *index } else { 99 };
            let first: Vec<u32> = indices.iter().map(label).collect();
            let inputs = Tensor::new(indices, &Device::Cpu)?;
            Ok(SharedSample { targets: vec![Tensor::new(first, &Device::Cpu)?, inputs.clone()], inputs })
        }

        fn has_label(&self, task: usize, index: u32) -> bool {
            task == 1 || index < 3
        }
    }

    #[test]
    fn a_batch_without_a_label_of_a_task_is_replaced_for_that_task_alone() {
        for batch_size in [2, 5] {
            let config = LoaderConfig { batch_size, seed: 5, stream: 2 };
            let start = |position| SharedLoader::new(Arc::new(Partly), config, position).unwrap();
            let mut whole = start(0);
            let (mut replaced, mut partial) = (0, 0);
            let mut seen = Vec::new();
            for position in 0..30 {
                let [first, second] = [0, 1].map(|task| whole.next(task).unwrap());
                assert_eq!(numbers(&second.targets), numbers(&second.inputs));
                let labels = numbers(&first.targets);
                assert!(labels.iter().any(|&label| label < 3), "batch {position} has no label of task 0: {labels:?}");
                if first.inputs.id() == second.inputs.id() {
                    partial += usize::from(labels.contains(&99));
                } else {
                    // No sample of the shared batch has a label; the other batch is not larger than the labelled samples.
                    assert!(numbers(&second.inputs).iter().all(|&index| index >= 3));
                    assert!(labels == numbers(&first.inputs) && labels.len() == batch_size.min(3));
                    replaced += 1;
                }
                // Any position can be entered, and one task may run ahead of the other.
                let mut resumed = start(position);
                assert_eq!(numbers(&resumed.next(0).unwrap().targets), labels);
                seen.push(labels);
            }
            assert!(partial > 0 && replaced > 0, "{partial} {replaced} {seen:?}");
        }
    }

    #[test]
    fn a_task_without_any_label_is_refused() {
        struct Unlabelled;
        impl SharedDataset for Unlabelled {
            fn tasks(&self) -> usize {
                2
            }
            fn len(&self) -> usize {
                4
            }
            fn read(&self, draws: &[SampleDraw]) -> Result<SharedSample> {
                Numbers.read(draws)
            }
            fn has_label(&self, task: usize, _: u32) -> bool {
                task == 0
            }
        }
        let config = LoaderConfig { batch_size: 2, seed: 0, stream: 0 };
        let message = SharedLoader::new(Arc::new(Unlabelled), config, 0).err().unwrap().to_string();
        assert!(message.contains("`task` is 1") && message.contains("4 training samples"), "{message}");
    }

    #[test]
    fn an_impossible_batch_size_is_refused() {
        for batch_size in [0, 11] {
            let config = LoaderConfig { batch_size, seed: 0, stream: 0 };
            let message = SharedLoader::new(Arc::new(Numbers), config, 0).err().unwrap().to_string();
            assert!(message.contains("batch_size") && message.contains("10 samples"), "{message}");
        }
    }
}
