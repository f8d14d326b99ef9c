//! Crops as tensors, for both tasks.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::Refuge;
use crate::augment::{Augmentation, Change, Crop, Source};
use crate::cutter::Cutter;
use crate::error::{Error, Result};
use crate::fundus::BACKGROUND;
use crate::picture::Picture;
use crate::shared::{Draw, SharedDataset, SharedSample};

/// The task whose targets are classes of pixels, `[B, S, S]` u8: 0 background, 1 rim, 2 cup.
pub const SEGMENTATION: usize = 0;
/// The task whose targets are diagnoses, `[B]` u32: 0 healthy, 1 glaucoma.
pub const GLAUCOMA: usize = 1;

/// Red, green and blue of an average crop on the scale 0..1, and how far they spread, by which inputs are standardised.
const PIXEL_MEAN: [f32; 3] = [0.66, 0.33, 0.18];
/// See [`PIXEL_MEAN`].
const PIXEL_STD: [f32; 3] = [0.16, 0.14, 0.11];

/// Some cases: inputs `[B, 3, S, S]` f32, standardised; targets of [`SEGMENTATION`] and of [`GLAUCOMA`].
#[derive(Clone)]
pub struct FundusSamples {
    refuge: Refuge,
    indices: Vec<u32>,
    augmentation: Augmentation,
    cutter: Option<Arc<dyn Cutter>>,
}

/// A photograph, or a part of one, as a network trained on these samples takes it: `[1, 3, H, W]`.
///
/// # Errors
/// If the tensor cannot be made.
pub fn network_input(picture: &Picture) -> Result<Tensor> {
    let source = Source { bytes: &picture.bytes, height: picture.height, width: picture.width };
    let mut values = vec![0.0; 3 * picture.height * picture.width];
    Change::NONE.picture(source, Crop::whole(source), &mut values);
    standardise(&mut values);
    Ok(Tensor::from_vec(values, (1, 3, picture.height, picture.width), &Device::Cpu)?)
}

/// Channels `[3, ...]`, each by its mean and spread.
fn standardise(values: &mut [f32]) {
    let plane = values.len() / 3;
    for (channel, values) in values.chunks_exact_mut(plane).enumerate() {
        values.iter_mut().for_each(|value| *value = (*value - PIXEL_MEAN[channel]) / PIXEL_STD[channel]);
    }
}

impl FundusSamples {
    pub(super) fn new(refuge: Refuge, indices: Vec<u32>, augmentation: Augmentation) -> Self {
        Self { refuge, indices, augmentation, cutter: None }
    }

    /// The case of sample `index`, as an index into [`Refuge::cases`].
    pub fn case(&self, index: u32) -> Option<u32> {
        self.indices.get(index as usize).copied()
    }

    /// The same, the crop of sample n cut by `cutter` from its picture n, with one plane of classes; the tensors are where the
    /// cutter leaves them.
    pub fn cut_by(&self, cutter: Arc<dyn Cutter>) -> Self {
        Self { cutter: Some(cutter), ..self.clone() }
    }

    /// Pixels and classes of each sample, in order.
    pub fn pictures(&self) -> impl Iterator<Item = (Source<'_>, Source<'_>)> + Clone {
        let side = self.refuge.side();
        let source = move |bytes| Source { bytes, height: side, width: side };
        let cases = self.indices.iter().map(|&case| case as usize).filter(|&case| case < self.refuge.cases().len());
        cases.map(move |case| (source(self.refuge.pixels(case)), source(self.refuge.classes(case))))
    }

    fn cut(&self, cutter: &dyn Cutter, draws: &[Draw], glaucoma: &[u32]) -> Result<SharedSample> {
        let crop = Crop { center: [self.refuge.side() as f64 / 2.0; 2], size: [self.refuge.side(); 2] };
        let of_draw = |draw: &Draw| {
            let change = self.augmentation.draw(&mut draw.generator());
            cutter.cut(draw.index as usize, &change, crop)
        };
        let (inputs, classes): (Vec<Tensor>, Vec<Tensor>) =
            draws.iter().map(of_draw).collect::<Result<Vec<_>>>()?.into_iter().unzip();
        let inputs = Tensor::stack(&inputs, 0)?;
        let of_channels = |values: &[f32; 3]| Tensor::new(values, inputs.device())?.reshape((1, 3, 1, 1));
        let standard = inputs.broadcast_sub(&of_channels(&PIXEL_MEAN)?)?.broadcast_div(&of_channels(&PIXEL_STD)?)?;
        let targets = vec![Tensor::cat(&classes, 0)?, Tensor::new(glaucoma, inputs.device())?];
        Ok(SharedSample { inputs: standard, targets })
    }

    fn checked_case(&self, draw: &Draw) -> Result<usize> {
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

    fn read(&self, draws: &[Draw]) -> Result<SharedSample> {
        self.augmentation.check()?;
        let (batch, side) = (draws.len(), self.refuge.side());
        let cases: Vec<usize> = draws.iter().map(|draw| self.checked_case(draw)).collect::<Result<_>>()?;
        let glaucoma: Vec<u32> = cases.iter().map(|&case| u32::from(self.refuge.cases()[case].glaucoma)).collect();
        if let Some(cutter) = &self.cutter {
            return self.cut(cutter.as_ref(), draws, &glaucoma);
        }
        let mut inputs = vec![0.0f32; batch * 3 * side * side];
        let mut classes = vec![0u8; batch * side * side];
        let places = inputs.par_chunks_exact_mut(3 * side * side).zip(classes.par_chunks_exact_mut(side * side));
        places.zip(draws.par_iter().zip(&cases)).for_each(|((input, target), (draw, &case))| {
            let change = self.augmentation.draw(&mut draw.generator());
            let source = |bytes| Source { bytes, height: side, width: side };
            let pixels = source(self.refuge.pixels(case));
            change.picture(pixels, Crop::whole(pixels), input);
            change.labels(source(self.refuge.classes(case)), Crop::whole(pixels), BACKGROUND, target);
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
