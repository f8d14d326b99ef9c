//! Cases of a folder as batches of tensors.

use candle_core::{Device, Tensor};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::config::Fit;
use super::label::{IGNORED, Label};
use super::set::{Folder, FolderTask};
use super::task::TaskKind;
use crate::augment::{Augmentation, Change, Crop, PixelView, SampleView};
use crate::error::{Error, Result};
use crate::shared::{SampleDraw, SharedDataset, SharedSample};

/// Some cases of a folder with the targets of some tasks, which all have the same pictures; read by
/// [`SharedLoader`](crate::SharedLoader).
///
/// Inputs are `[B, C, H, W]` f32, standardised by [`Folder::normalization`]. Targets, in the order of the tasks:
///
/// | kind | target | without a label |
/// |---|---|---|
/// | segmentation | `[B, H, W]` u8, classes | [`IGNORED`], also beyond the edges of the picture |
/// | classification | `[B]` u32, classes | [`IGNORED`] |
/// | multilabel | `[B, L]` u8, 0 or 1 | [`IGNORED`], each property by itself |
/// | regression | `[B, 1]` f32, standardised by [`FolderTask::scale`] | not a number |
#[derive(Clone)]
pub struct FolderSamples {
    folder: Folder,
    tasks: Vec<usize>,
    cases: Vec<u32>,
    /// How training pictures are changed; `None` for an evaluation.
    augmentation: Option<Augmentation>,
}

impl FolderSamples {
    /// The cases `cases` to train `tasks` on: changed by the augmentation of the settings, and, for patches, cut at random
    /// places. A case without a label has the target of the table above.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if there is no such task or case, a case has no picture, or the tasks' pictures differ.
    pub fn training(folder: &Folder, tasks: &[usize], cases: &[u32]) -> Result<Self> {
        Ok(Self { augmentation: Some(folder.augmentation()), ..Self::evaluation(folder, tasks, cases)? })
    }

    /// The cases `cases` to evaluate `tasks` on, unchanged. For patches, the input is the whole picture, and only pictures of one
    /// size can be in one batch.
    ///
    /// # Errors
    /// As for [`Self::training`].
    pub fn evaluation(folder: &Folder, tasks: &[usize], cases: &[u32]) -> Result<Self> {
        Self { folder: folder.clone(), tasks: tasks.to_vec(), cases: cases.to_vec(), augmentation: None }.checked()
    }

    /// The case of sample `index`, as an index into [`Folder::cases`].
    pub fn case(&self, index: u32) -> Option<u32> {
        self.cases.get(index as usize).copied()
    }

    fn checked(self) -> Result<Self> {
        let of_folder = self.folder.tasks();
        let first = self.tasks.first().and_then(|&task| of_folder.get(task));
        let fits = |task: &FolderTask| first.is_some_and(|first| first.source == task.source);
        if first.is_none() || !self.tasks.iter().all(|&task| of_folder.get(task).is_some_and(fits)) {
            let value = self.tasks.first().copied().unwrap_or(0);
            return Err(out_of_range("task", value, "tasks of the folder with the same pictures"));
        }
        let without = |&&case: &&u32| self.folder.stored_picture(self.tasks[0], case as usize).is_none();
        match self.cases.iter().find(without) {
            Some(&case) => Err(out_of_range("case", case as usize, "a case with a picture for the tasks")),
            None => Ok(self),
        }
    }

    /// How the sample `draw` is changed, and which part of its picture of `height` x `width` pixels it is.
    fn change_and_crop(&self, draw: &SampleDraw, [height, width]: [usize; 2]) -> (Change, Crop) {
        let whole = Crop { center: [width, height].map(|side| side as f64 / 2.0), size: [height, width] };
        let Some(augmentation) = &self.augmentation else { return (Change::NONE, whole) };
        let mut generator = draw.generator();
        let change = augmentation.draw(&mut generator);
        if self.folder.tasks()[self.tasks[0]].fit != Fit::Patches {
            return (change, whole);
        }
        let size = self.folder.config().size;
        let center = [place(width, size[1], &mut generator), place(height, size[0], &mut generator)];
        (change, Crop { center, size })
    }

    /// Height and width of the input of all of `cases`.
    fn input_size(&self, cases: &[usize]) -> Result<[usize; 2]> {
        if self.augmentation.is_some() {
            return Ok(self.folder.config().size);
        }
        let mut sizes = cases.iter().filter_map(|&case| self.folder.stored_picture(self.tasks[0], case));
        let [height, width, ..] = *sizes.next().map_or(&[0, 0][..], |(shape, _)| shape) else { return Ok([0; 2]) };
        match sizes.find(|(shape, _)| shape[..2] != [height, width]) {
            None => Ok([height, width]),
            Some((shape, _)) => Err(out_of_range(
                "size of a picture",
                shape[0],
                &format!("{height} rows and {width} columns, as the others of the batch have"),
            )),
        }
    }

    /// Cuts the picture of `case` into `input` and the masks into `masks`, one per task that has masks.
    fn cut(&self, draw: &SampleDraw, case: usize, input: &mut [f32], masks: &mut [u8]) {
        let Some((&[height, width, channels, ref deep @ ..], bytes)) = self.folder.stored_picture(self.tasks[0], case)
        else {
            return;
        };
        let (change, crop) = self.change_and_crop(draw, [height, width]);
        match (channels, deep) {
            (3, []) => change.picture(PixelView { bytes, height, width }, crop, input),
            _ => {
                let source = SampleView { bytes, height, width, channels, is_deep: !deep.is_empty() };
                change.channels(source, crop, input);
            }
        }
        self.folder.normalization(self.tasks[0]).apply(input);
        let plane = crop.size[0] * crop.size[1];
        for (task, target) in self.dense_tasks().zip(masks.chunks_exact_mut(plane)) {
            match self.folder.mask(task, case) {
                Some(([height, width], bytes)) => {
                    change.labels(PixelView { bytes, height, width }, crop, IGNORED, target);
                }
                None => target.fill(IGNORED),
            }
        }
    }

    /// The tasks that have masks.
    fn dense_tasks(&self) -> impl Iterator<Item = usize> {
        self.tasks
            .iter()
            .copied()
            .filter(|&task| matches!(self.folder.tasks()[task].kind, TaskKind::Segmentation { .. }))
    }

    /// The targets of `task`, which has no masks.
    fn values(&self, task: usize, cases: &[usize]) -> Result<Tensor> {
        let FolderTask { kind, outputs, scale, .. } = &self.folder.tasks()[task];
        let labels = cases.iter().map(|&case| self.folder.label(task, case));
        let count = cases.len();
        let tensor = match kind {
            TaskKind::Multilabel { .. } => {
                let of_case = |label: Option<&Label>| match label {
                    Some(Label::Properties(properties)) => {
                        properties.iter().map(|property| property.map_or(IGNORED, u8::from)).collect()
                    }
                    _ => vec![IGNORED; outputs.len()],
                };
                let properties: Vec<u8> = labels.flat_map(of_case).collect();
                Tensor::from_vec(properties, (count, outputs.len()), &Device::Cpu)?
            }
            TaskKind::Regression { .. } => {
                let [mean, deviation] = scale.unwrap_or([0.0, 1.0]);
                let of_case = |label: Option<&Label>| match label {
                    Some(Label::Number(number)) => ((number - mean) / deviation) as f32,
                    _ => f32::NAN,
                };
                Tensor::from_vec(labels.map(of_case).collect::<Vec<f32>>(), (count, 1), &Device::Cpu)?
            }
            _ => {
                let of_case = |label: Option<&Label>| match label {
                    Some(Label::Class(class)) => u32::from(*class),
                    _ => u32::from(IGNORED),
                };
                Tensor::from_vec(labels.map(of_case).collect::<Vec<u32>>(), count, &Device::Cpu)?
            }
        };
        Ok(tensor)
    }
}

impl SharedDataset for FolderSamples {
    fn tasks(&self) -> usize {
        self.tasks.len()
    }

    fn len(&self) -> usize {
        self.cases.len()
    }

    fn has_label(&self, task: usize, index: u32) -> bool {
        let case = self.case(index).map(|case| case as usize);
        let label = self.tasks.get(task).zip(case).and_then(|(&task, case)| self.folder.label(task, case));
        label.is_some()
    }

    fn balanced_classes(&self) -> Option<Vec<u32>> {
        let name = self.folder.config().balanced.as_ref().filter(|_| self.augmentation.is_some())?;
        let task = self.folder.tasks().iter().position(|task| task.name == *name)?;
        let class = |&case: &u32| match self.folder.label(task, case as usize) {
            Some(Label::Class(class)) => u32::from(*class),
            _ => u32::from(IGNORED),
        };
        Some(self.cases.iter().map(class).collect())
    }

    fn read(&self, draws: &[SampleDraw]) -> Result<SharedSample> {
        let cases = draws.iter().map(|draw| self.case(draw.index).map(|case| case as usize).ok_or(draw.index as usize));
        let cases: Vec<usize> = cases.collect::<Result<_, _>>().map_err(|index| {
            out_of_range("index", index, &format!("below the number of samples, {}", self.cases.len()))
        })?;
        let (batch, channels, [height, width]) = (cases.len(), self.folder.config().channels, self.input_size(&cases)?);
        let (plane, dense) = (height * width, self.dense_tasks().count());
        let mut inputs = vec![0.0f32; batch * channels * plane];
        let mut masks = vec![0u8; batch * dense * plane];
        if dense == 0 {
            let places = inputs.par_chunks_exact_mut((channels * plane).max(1));
            places
                .zip(draws.par_iter().zip(&cases))
                .for_each(|(input, (draw, &case))| self.cut(draw, case, input, &mut []));
        } else {
            let places = inputs
                .par_chunks_exact_mut((channels * plane).max(1))
                .zip(masks.par_chunks_exact_mut((dense * plane).max(1)));
            places.zip(draws.par_iter().zip(&cases)).for_each(|((input, masks), (draw, &case))| {
                self.cut(draw, case, input, masks);
            });
        }
        // A tensor without elements has no parts.
        let masks = (dense > 0).then(|| Tensor::from_vec(masks, (batch, dense, height, width), &Device::Cpu));
        let (masks, mut next_mask) = (masks.transpose()?, 0..);
        let targets = self.tasks.iter().map(|&task| match (&self.folder.tasks()[task].kind, &masks) {
            (TaskKind::Segmentation { .. }, Some(masks)) => {
                Ok(masks.narrow(1, next_mask.next().unwrap_or(0), 1)?.squeeze(1)?.contiguous()?)
            }
            _ => self.values(task, &cases),
        });
        Ok(SharedSample {
            targets: targets.collect::<Result<_>>()?,
            inputs: Tensor::from_vec(inputs, (batch, channels, height, width), &Device::Cpu)?,
        })
    }
}

/// The middle of a patch of `size` pixels on a side of `length` pixels: anywhere inside, or in the middle if there is no room.
fn place(length: usize, size: usize, generator: &mut ChaCha8Rng) -> f64 {
    match length.checked_sub(size) {
        Some(free) => generator.random_range(0..=free as u64) as f64 + size as f64 / 2.0,
        None => length as f64 / 2.0,
    }
}

fn out_of_range(key: &'static str, value: usize, expected: &str) -> Error {
    Error::OutOfRange { key, value, expected: expected.to_owned() }
}
