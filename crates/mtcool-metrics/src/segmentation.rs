//! Agreement of class maps: Dice per image, confusion counts over the pixels of several images, and the vertical cup-to-disc ratio.

use crate::confusion::Confusion;
use crate::error::{MetricError, same_length};

/// A set of class codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassSet([bool; 256]);

impl ClassSet {
    /// The set of `classes`.
    pub const fn of(classes: &[u8]) -> Self {
        let mut members = [false; 256];
        let mut at = 0;
        while at < classes.len() {
            members[classes[at] as usize] = true;
            at += 1;
        }
        Self(members)
    }

    /// The classes below `limit`.
    pub const fn below(limit: u8) -> Self {
        let mut members = [false; 256];
        let mut class = 0;
        while class < limit {
            members[class as usize] = true;
            class += 1;
        }
        Self(members)
    }

    /// Every class but those of this set.
    pub const fn complement(mut self) -> Self {
        let mut class = 0;
        while class < 256 {
            self.0[class] = !self.0[class];
            class += 1;
        }
        self
    }

    /// Whether `class` belongs to it.
    pub const fn contains(&self, class: u8) -> bool {
        self.0[class as usize]
    }
}

/// A class map, and which of its classes count as positive. Prediction and target may be coded differently.
#[derive(Clone, Copy, Debug)]
pub struct ClassMap<'a> {
    /// One class code per pixel, `[H * W]`.
    pub classes: &'a [u8],
    /// The classes that count as positive.
    pub positive: ClassSet,
}

impl ClassMap<'_> {
    fn positives(&self) -> impl Iterator<Item = bool> + '_ {
        self.classes.iter().map(|&class| self.positive.contains(class))
    }
}

impl Confusion {
    /// Counts the pixels of `prediction` against those of `target`. With `region` `[H * W]`, only the pixels where it is `true` are
    /// counted. The counts of several images can be added up.
    ///
    /// # Errors
    /// If the lengths differ.
    pub fn of_pixels(
        prediction: ClassMap<'_>,
        target: ClassMap<'_>,
        region: Option<&[bool]>,
    ) -> Result<Self, MetricError> {
        same_length("predicted pixels", prediction.classes.len(), target.classes.len())?;
        let pixels = prediction.positives().zip(target.positives());
        match region {
            None => Ok(Self::count(pixels)),
            Some(region) => {
                same_length("pixels of the region", region.len(), target.classes.len())?;
                Ok(Self::count(pixels.zip(region).filter_map(|(pixel, &inside)| inside.then_some(pixel))))
            }
        }
    }
}

/// Dice coefficient of one image, `2 |A and B| / (|A| + |B|)`; 1 if both are empty, where the challenge's kit divides by zero.
///
/// # Errors
/// If the lengths differ.
pub fn dice(prediction: ClassMap<'_>, target: ClassMap<'_>) -> Result<f64, MetricError> {
    let counts = Confusion::of_pixels(prediction, target, None)?;
    Ok(if counts.is_empty() { 1.0 } else { counts.f1() })
}

/// The meaning of the codes in a mask of the optic disc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskCoding {
    /// The challenge's files: 0 cup, 128 rim, 255 background.
    Refuge,
    /// Class indices: 0 background, 1 rim, 2 cup.
    Indices,
}

/// A structure of the optic nerve head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Structure {
    /// The optic disc, its cup included.
    Disc,
    /// The optic cup.
    Cup,
}

impl Structure {
    /// Its class codes. In the challenge's files a disc is everything below 255, as in its evaluation kit.
    pub const fn classes(self, coding: MaskCoding) -> ClassSet {
        match (self, coding) {
            (Self::Disc, MaskCoding::Refuge) => ClassSet::below(255),
            (Self::Cup, MaskCoding::Refuge) => ClassSet::of(&[0]),
            (Self::Disc, MaskCoding::Indices) => ClassSet::of(&[1, 2]),
            (Self::Cup, MaskCoding::Indices) => ClassSet::of(&[2]),
        }
    }
}

/// Vertical cup-to-disc ratio of a mask `[H * W]` of rows of `width` pixels, as the challenge's kit measures it: a diameter is the
/// largest number of pixels in one column. 0 without a disc.
///
/// # Errors
/// If the mask is not made of whole rows.
pub fn cup_to_disc_ratio(mask: &[u8], width: usize, coding: MaskCoding) -> Result<f64, MetricError> {
    if width == 0 || !mask.len().is_multiple_of(width) {
        return Err(MetricError::Count { what: "pixels", got: mask.len(), expected: "whole rows of the given width" });
    }
    let diameter = |structure: Structure| {
        let classes = structure.classes(coding);
        let mut columns = vec![0u32; width];
        for row in mask.chunks_exact(width) {
            for (count, &class) in columns.iter_mut().zip(row) {
                *count += u32::from(classes.contains(class));
            }
        }
        columns.into_iter().max().unwrap_or(0)
    };
    let (cup, disc) = (diameter(Structure::Cup), diameter(Structure::Disc));
    Ok(if disc == 0 { 0.0 } else { f64::from(cup) / f64::from(disc) })
}

/// Mean absolute error of cup-to-disc ratios, `predicted` `[N]` against `target` `[N]`; NaN without any.
///
/// # Errors
/// If the lengths differ.
pub fn cup_to_disc_error(predicted: &[f64], target: &[f64]) -> Result<f64, MetricError> {
    same_length("predicted ratios", predicted.len(), target.len())?;
    let total: f64 = predicted.iter().zip(target).map(|(predicted, target)| (predicted - target).abs()).sum();
    Ok(total / target.len() as f64)
}
