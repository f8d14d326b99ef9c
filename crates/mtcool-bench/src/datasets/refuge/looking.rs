//! How a trained network looks at a photograph: it segments a square, and then the square around the disc that it found there.

use anyhow::Result;
use candle_core::DType;
use mtcool_core::{Network, Parameters};
use mtcool_data::picture::Picture;
use mtcool_data::refuge::{GLAUCOMA, SEGMENTATION, network_input, square};
use mtcool_ops::pooled_softmax;

use super::evaluate::argmax;

/// A network, and the squares that it was trained on.
#[derive(Clone, Copy)]
pub(super) struct Looking<'a> {
    /// The side of the square around the disc, in pixels of the photograph; a multiple of `side`.
    pub(super) crop: usize,
    /// The side of the network's input, in pixels.
    pub(super) side: usize,
    pub(super) network: &'a dyn Network,
    pub(super) parameters: &'a Parameters,
}

/// The network's predictions for a square.
pub(super) struct Seen {
    /// Row and column of the square's middle in the photograph.
    pub(super) center: [usize; 2],
    /// The predicted classes, `[side * side]`.
    pub(super) classes: Vec<u8>,
    /// The probabilities of the classes, `[K, side, side]`.
    pub(super) probabilities: Vec<f32>,
    /// The logits of no glaucoma and of glaucoma.
    pub(super) logits: Vec<f64>,
}

impl Looking<'_> {
    /// The predictions for the square around `center`, row and column, or around the disc that they find.
    ///
    /// In training, the distance between the centres of the square and of the disc's bounding box was at most `translation` in each
    /// direction. A second prediction around the centre that the first one found is within this distance.
    ///
    /// # Errors
    /// If a forward pass fails.
    pub(super) fn twice(&self, photograph: &Picture, center: [usize; 2]) -> Result<Seen> {
        let first = self.look(photograph, center)?;
        match self.center_of_disc(&first, photograph) {
            Some(center) if center != first.center => self.look(photograph, center),
            _ => Ok(first),
        }
    }

    /// The predicted class of each pixel `[H * W]` of a photograph: background outside of the square.
    pub(super) fn whole(&self, seen: &Seen, [height, width]: [usize; 2]) -> Vec<u8> {
        let (crop, shrink) = self.scale();
        let [top, left] = seen.center.map(|center| center as i64 - crop as i64 / 2);
        let place = |at: usize, first: i64| {
            usize::try_from(at as i64 - first).ok().filter(|place| *place < crop).map(|place| place / shrink)
        };
        let class = |row: usize, column: usize| {
            let places = place(row, top).zip(place(column, left));
            places.map_or(0, |(row, column)| seen.classes[row * self.side + column])
        };
        (0..height * width).map(|pixel| class(pixel / width, pixel % width)).collect()
    }

    /// The side of the square in pixels of the photograph, and the factor by which it is reduced for the network.
    fn scale(&self) -> (usize, usize) {
        (self.crop, self.crop / self.side)
    }

    /// The network's predictions for the square around `center`.
    fn look(&self, photograph: &Picture, center: [usize; 2]) -> Result<Seen> {
        let (crop, shrink) = self.scale();
        let input = network_input(&square(photograph, center, crop, shrink)?)?;
        let outputs = self.network.forward_all(self.parameters, &[&input, &input])?;
        let classes = argmax(&outputs[SEGMENTATION])?.concat();
        let probabilities =
            pooled_softmax(&outputs[SEGMENTATION].to_dtype(DType::F32)?, 1)?.flatten_all()?.to_vec1()?;
        let logits = outputs[GLAUCOMA].to_dtype(DType::F64)?.squeeze(0)?.to_vec1::<f64>()?;
        Ok(Seen { center, classes, probabilities, logits })
    }

    /// The middle of the bounding box of the disc in `seen`, in pixels of the photograph, if `seen` contains a disc.
    fn center_of_disc(&self, seen: &Seen, photograph: &Picture) -> Option<[usize; 2]> {
        let (crop, shrink) = self.scale();
        let [rows, columns] = disc_box(&seen.classes, self.side)?;
        let place = |center: usize, [from, to]: [usize; 2], length: usize| {
            (center + (from + to) * shrink / 2).saturating_sub(crop / 2).min(length - 1)
        };
        let [row, column] = seen.center;
        Some([place(row, rows, photograph.height), place(column, columns, photograph.width)])
    }
}

/// The bounding box of the largest connected part of the disc in `classes` `[side * side]`: the ranges of rows and columns, each
/// from the first to one past the last. `None` without a disc. Smaller separate parts are ignored.
fn disc_box(classes: &[u8], side: usize) -> Option<[[usize; 2]; 2]> {
    let mut is_left: Vec<bool> = classes.iter().map(|&class| class != 0).collect();
    let mut largest = (0, None);
    for start in 0..classes.len() {
        if !std::mem::take(&mut is_left[start]) {
            continue;
        }
        let (mut count, mut ranges) = (0, [[usize::MAX, 0]; 2]);
        let mut to_visit = vec![start];
        while let Some(at) = to_visit.pop() {
            let place = [at / side, at % side];
            count += 1;
            for (range, place) in ranges.iter_mut().zip(place) {
                *range = [range[0].min(place), range[1].max(place + 1)];
            }
            let [row, column] = place;
            let neighbours = [
                (row > 0).then(|| at - side),
                (row + 1 < side).then_some(at + side),
                (column > 0).then(|| at - 1),
                (column + 1 < side).then_some(at + 1),
            ];
            to_visit.extend(neighbours.into_iter().flatten().filter(|&next| std::mem::take(&mut is_left[next])));
        }
        if count > largest.0 {
            largest = (count, Some(ranges));
        }
    }
    largest.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disc_is_the_largest_part_that_hangs_together() {
        let mut classes = vec![0; 64];
        for (row, column) in [(2, 3), (2, 4), (3, 4), (4, 4)] {
            classes[8 * row + column] = 1;
        }
        classes[8 * 3 + 4] = 2;
        assert_eq!(disc_box(&classes, 8), Some([[2, 5], [3, 5]]));
        // A separate pixel that touches no other part.
        classes[0] = 1;
        assert_eq!(disc_box(&classes, 8), Some([[2, 5], [3, 5]]));
        // The end of a row does not touch the beginning of the next row.
        let mut ends = vec![0; 64];
        (ends[7], ends[8]) = (1, 1);
        assert_eq!(disc_box(&ends, 8), Some([[0, 1], [7, 8]]));
        assert_eq!(disc_box(&[1; 64], 8), Some([[0, 8], [0, 8]]));
        assert_eq!(disc_box(&[0; 64], 8), None);
    }
}
