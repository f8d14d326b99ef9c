//! The distance between the outlines of two segmentations of one image.

use crate::error::{MetricError, same_length};
use crate::segmentation::ClassMap;
use crate::summary::quantile;

/// 95th percentile of the Hausdorff distance between the outlines of `prediction` and `target`, both `[H * W]` with rows of `width`
/// pixels: the larger of the two directed percentiles, as in *Metrics reloaded* (Maier-Hein, Reinke et al. 2024). `spacing` is the height
/// and the width of a pixel, and the result has its unit; `[1.0, 1.0]` counts pixels.
///
/// The outline consists of the positive pixels that have a neighbour beside, above or below that is not positive, or that lie on
/// the edge of the image. The distance is 0 if both are empty. If only one of them is empty, there is no distance, and
/// the diagonal of the image takes its place, so that a prediction of nothing is never a good one.
///
/// # Errors
/// If the lengths differ, the maps are not made of whole rows, or a spacing is not a positive number.
pub fn hausdorff_95(
    prediction: ClassMap<'_>,
    target: ClassMap<'_>,
    width: usize,
    spacing: [f64; 2],
) -> Result<f64, MetricError> {
    same_length("predicted pixels", prediction.classes.len(), target.classes.len())?;
    if width == 0 || !target.classes.len().is_multiple_of(width) {
        let got = target.classes.len();
        return Err(MetricError::Count { what: "pixels", got, expected: "whole rows of the given width" });
    }
    if let Some(index) = spacing.iter().position(|side| !(side.is_finite() && *side > 0.0)) {
        let expected = "a finite number above 0";
        return Err(MetricError::OutOfRange { what: "spacing", index, value: spacing[index], expected });
    }
    let outlines = [prediction, target].map(|map| outline(map, width));
    let height = target.classes.len() / width;
    match outlines.each_ref().map(|outline| outline.contains(&true)) {
        [false, false] => Ok(0.0),
        [true, true] => {
            let [a, b] = &outlines;
            Ok(directed(a, b, width, spacing).max(directed(b, a, width, spacing)))
        }
        _ => Ok((height as f64 * spacing[0]).hypot(width as f64 * spacing[1])),
    }
}

/// Which pixels belong to the outline.
fn outline(map: ClassMap<'_>, width: usize) -> Vec<bool> {
    let positive: Vec<bool> = map.classes.iter().map(|&class| map.positive.contains(class)).collect();
    let height = positive.len() / width;
    let is_inner = |index: usize| {
        let (row, column) = (index / width, index % width);
        let has_neighbours = row > 0 && row + 1 < height && column > 0 && column + 1 < width;
        has_neighbours && [index - width, index + width, index - 1, index + 1].iter().all(|&near| positive[near])
    };
    (0..positive.len()).map(|index| positive[index] && !is_inner(index)).collect()
}

/// 95th percentile of the distances from the pixels of `from` to the nearest pixel of `to`, which is not empty.
fn directed(from: &[bool], to: &[bool], width: usize, spacing: [f64; 2]) -> f64 {
    let squared = squared_distances(to, width, spacing);
    let distances = from.iter().zip(squared).filter(|(is_outline, _)| **is_outline).map(|(_, squared)| squared.sqrt());
    quantile(&distances.collect::<Vec<f64>>(), 0.95)
}

/// Squared distance of each pixel to the nearest pixel of `to`: first along the columns, then along the rows (Felzenszwalb and
/// Huttenlocher 2012, *Distance transforms of sampled functions*).
fn squared_distances(to: &[bool], width: usize, [down, across]: [f64; 2]) -> Vec<f64> {
    let height = to.len() / width;
    let mut distances: Vec<f64> = to.iter().map(|&is_there| if is_there { 0.0 } else { f64::INFINITY }).collect();
    for column in 0..width {
        let line: Vec<f64> = (0..height).map(|row| distances[row * width + column]).collect();
        for (row, value) in lower_envelope(&line, down).into_iter().enumerate() {
            distances[row * width + column] = value;
        }
    }
    for row in distances.chunks_exact_mut(width) {
        let line = lower_envelope(row, across);
        row.copy_from_slice(&line);
    }
    distances
}

/// `min over q of (step (p - q))^2 + heights[q]` for each p: the lower envelope of parabolas.
fn lower_envelope(heights: &[f64], step: f64) -> Vec<f64> {
    // The parabolas of the envelope, each with the place from which it is the lowest.
    let mut envelope: Vec<(usize, f64)> = Vec::new();
    let place = |index: usize| step * index as f64;
    for q in (0..heights.len()).filter(|&q| heights[q].is_finite()) {
        let crossing = |last: usize| {
            let (a, b) = (place(last), place(q));
            ((heights[q] + b * b) - (heights[last] + a * a)) / (2.0 * (b - a))
        };
        while envelope.last().is_some_and(|&(last, begins)| crossing(last) <= begins) {
            envelope.pop();
        }
        let begins = envelope.last().map_or(f64::NEG_INFINITY, |&(last, _)| crossing(last));
        envelope.push((q, begins));
    }
    if envelope.is_empty() {
        return vec![f64::INFINITY; heights.len()];
    }
    let mut at = 0;
    let lowest = |p: usize| {
        while envelope.get(at + 1).is_some_and(|&(_, begins)| begins < place(p)) {
            at += 1;
        }
        let q = envelope[at].0;
        (place(p) - place(q)).powi(2) + heights[q]
    };
    (0..heights.len()).map(lowest).collect()
}
