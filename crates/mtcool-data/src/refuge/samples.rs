//! Crops as tensors, for both tasks.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::set::Refuge;
use crate::augment::{Augmentation, Change, Crop, PixelView};
use crate::cutter::Cutter;
use crate::error::{Error, Result};
use crate::fundus::BACKGROUND;
use crate::picture::Picture;
use crate::shared::{SampleDraw, SharedDataset, SharedSample};

/// The task whose targets are classes of pixels, `[B, S, S]` u8: 0 background, 1 rim, 2 cup.
pub const SEGMENTATION: usize = 0;
/// The task whose targets are diagnoses, `[B]` u32: 0 healthy, 1 glaucoma.
pub const GLAUCOMA: usize = 1;

/// The mean of red, green and blue in an average crop on the scale 0..1, by which inputs are standardised.
pub const PIXEL_MEAN: [f32; 3] = [0.66, 0.33, 0.18];
/// The standard deviation of red, green and blue, see [`PIXEL_MEAN`].
pub const PIXEL_STD: [f32; 3] = [0.16, 0.14, 0.11];

/// Some cases as samples that [`crate::SharedLoader`] reads: inputs `[B, 3, S, S]` f32, standardised; targets of
/// [`SEGMENTATION`] and of [`GLAUCOMA`].
#[derive(Clone)]
pub struct FundusSamples {
    refuge: Refuge,
    indices: Vec<u32>,
    /// How training crops are changed; `None` for an evaluation, whose crops have fixed places.
    augmentation: Option<Augmentation>,
    is_balanced: bool,
    cutter: Option<Arc<dyn Cutter>>,
}

/// A photograph, or a part of one, as input of a network that was trained on these samples: `[1, 3, H, W]`.
///
/// # Errors
/// If the tensor cannot be made.
pub fn network_input(picture: &Picture) -> Result<Tensor> {
    let source = PixelView { bytes: &picture.bytes, height: picture.height, width: picture.width };
    let mut values = vec![0.0; 3 * picture.height * picture.width];
    Change::NONE.picture(source, Crop::whole(source), &mut values);
    standardise(&mut values);
    Ok(Tensor::from_vec(values, (1, 3, picture.height, picture.width), &Device::Cpu)?)
}

/// Standardises the channels `[3, ...]`, each by its mean and standard deviation.
fn standardise(values: &mut [f32]) {
    let plane = values.len() / 3;
    for (channel, values) in values.chunks_exact_mut(plane).enumerate() {
        values.iter_mut().for_each(|value| *value = (*value - PIXEL_MEAN[channel]) / PIXEL_STD[channel]);
    }
}

impl FundusSamples {
    /// The cases `indices` to train on: for every draw, a crop at a random place within the translation of
    /// [`super::CropPlacement`], changed by `augmentation`. Where crop or change reach beyond what is stored of the photograph,
    /// the sample is black background.
    ///
    /// # Errors
    /// [`Error::Setting`] if the augmentation is out of range.
    pub fn training(refuge: &Refuge, indices: Vec<u32>, augmentation: Augmentation) -> Result<Self> {
        augmentation.check()?;
        Ok(Self { refuge: refuge.clone(), indices, augmentation: Some(augmentation), is_balanced: false, cutter: None })
    }

    /// The cases `indices` to evaluate on: the crops of [`Refuge::pixels`] and [`Refuge::classes`].
    pub fn evaluation(refuge: &Refuge, indices: Vec<u32>) -> Self {
        Self { refuge: refuge.clone(), indices, augmentation: None, is_balanced: false, cutter: None }
    }

    /// The same samples in balanced batches: every batch has as many ill photographs as healthy ones, or one more of either, and
    /// photographs of the rarer diagnosis come several times per epoch, each time changed in another way.
    #[must_use]
    pub fn balanced(self) -> Self {
        Self { is_balanced: true, ..self }
    }

    /// The case of sample `index`, as an index into [`Refuge::cases`].
    pub fn case(&self, index: u32) -> Option<u32> {
        self.indices.get(index as usize).copied()
    }

    /// The same samples, where `cutter` cuts sample n from its picture n, with one plane of classes; the pictures are those of
    /// [`Self::pictures`]. The tensors stay where the cutter leaves them.
    pub fn cut_by(&self, cutter: Arc<dyn Cutter>) -> Self {
        Self { cutter: Some(cutter), ..self.clone() }
    }

    /// The stored pixels `[S', S', 3]` and classes `[S', S']` of each sample, in order: all places where its crops may lie.
    pub fn pictures(&self) -> impl Iterator<Item = (PixelView<'_>, PixelView<'_>)> + Clone {
        let cases = self.indices.iter().map(|&case| case as usize).filter(|&case| case < self.refuge.cases().len());
        cases.map(move |case| self.stored(case))
    }

    /// Pixels and classes of the stored square of `case`.
    fn stored(&self, case: usize) -> (PixelView<'_>, PixelView<'_>) {
        let side = self.refuge.frame().stored_side();
        let view = |bytes| PixelView { bytes, height: side, width: side };
        (view(self.refuge.stored_pixels(case)), view(self.refuge.stored_classes(case)))
    }

    /// How the sample `draw` of `case` is changed, and which part of the stored square it is.
    fn change_and_crop(&self, draw: &SampleDraw, case: usize) -> (Change, Crop) {
        let frame = self.refuge.frame();
        match &self.augmentation {
            None => (Change::NONE, frame.evaluation_crop(&self.refuge.cases()[case].name)),
            Some(augmentation) => {
                let mut generator = draw.generator();
                (augmentation.draw(&mut generator), frame.training_crop(&mut generator))
            }
        }
    }

    /// The samples `draws` of `cases`, cut by `cutter`.
    fn cut(
        &self,
        cutter: &dyn Cutter,
        draws: &[SampleDraw],
        cases: &[usize],
        glaucoma: &[u32],
    ) -> Result<SharedSample> {
        let cuts = draws.iter().zip(cases).map(|(draw, &case)| {
            let (change, crop) = self.change_and_crop(draw, case);
            cutter.cut(draw.index as usize, &change, crop)
        });
        let (inputs, classes): (Vec<Tensor>, Vec<Tensor>) = cuts.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        let inputs = Tensor::stack(&inputs, 0)?;
        let of_channels = |values: &[f32; 3]| Tensor::new(values, inputs.device())?.reshape((1, 3, 1, 1));
        let standard = inputs.broadcast_sub(&of_channels(&PIXEL_MEAN)?)?.broadcast_div(&of_channels(&PIXEL_STD)?)?;
        let targets = vec![Tensor::cat(&classes, 0)?, Tensor::new(glaucoma, inputs.device())?];
        Ok(SharedSample { inputs: standard, targets })
    }

    fn checked_case(&self, draw: &SampleDraw) -> Result<usize> {
        let case = self.case(draw.index).map(|case| case as usize).filter(|&case| case < self.refuge.cases().len());
        case.ok_or_else(|| Error::OutOfRange {
            key: "index",
            value: draw.index as usize,
            expected: format!("below {}, of a case below {}", self.indices.len(), self.refuge.cases().len()),
        })
    }
}

impl SharedDataset for FundusSamples {
    fn tasks(&self) -> usize {
        2
    }

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn balanced_classes(&self) -> Option<Vec<u32>> {
        let cases = self.refuge.cases();
        let glaucoma = |&case: &u32| cases.get(case as usize).map_or(0, |case| u32::from(case.glaucoma));
        self.is_balanced.then(|| self.indices.iter().map(glaucoma).collect())
    }

    fn read(&self, draws: &[SampleDraw]) -> Result<SharedSample> {
        let (batch, side) = (draws.len(), self.refuge.side());
        let cases: Vec<usize> = draws.iter().map(|draw| self.checked_case(draw)).collect::<Result<_>>()?;
        let glaucoma: Vec<u32> = cases.iter().map(|&case| u32::from(self.refuge.cases()[case].glaucoma)).collect();
        if let Some(cutter) = &self.cutter {
            return self.cut(cutter.as_ref(), draws, &cases, &glaucoma);
        }
        let mut inputs = vec![0.0f32; batch * 3 * side * side];
        let mut classes = vec![0u8; batch * side * side];
        let places = inputs.par_chunks_exact_mut(3 * side * side).zip(classes.par_chunks_exact_mut(side * side));
        places.zip(draws.par_iter().zip(&cases)).for_each(|((input, target), (draw, &case))| {
            let (change, crop) = self.change_and_crop(draw, case);
            let (pixels, stored_classes) = self.stored(case);
            change.picture(pixels, crop, input);
            change.labels(stored_classes, crop, BACKGROUND, target);
            standardise(input);
        });
        Ok(SharedSample {
            inputs: Tensor::from_vec(inputs, (batch, 3, side, side), &Device::Cpu)?,
            targets: vec![
                Tensor::from_vec(classes, (batch, side, side), &Device::Cpu)?,
                Tensor::from_vec(glaucoma, batch, &Device::Cpu)?,
            ],
        })
    }
}
