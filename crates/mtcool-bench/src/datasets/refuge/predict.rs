//! Predictions for the user's own photographs: find the disc, cut a square around it, segment it, and predict glaucoma.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::DType;
use mtcool_core::{Network, Parameters};
use mtcool_data::picture::Picture;
use mtcool_data::refuge::{GLAUCOMA, SEGMENTATION, network_input, square};
use mtcool_models::Tiling;
use mtcool_ops::pooled_softmax;
use serde_json::json;

use super::evaluate::{argmax, probability_of_glaucoma};
use super::photographs::PhotographFiles;
use super::settings::RefugeSettings;
use super::spec::{CUP, DISC};
use crate::suite::{
    Colour, MapClass, MapPlace, PredictOption, PredictOptions, Predicted, PredictedMap, Predictor, TrainedModel,
};
use mtcool_metrics::{MaskCoding, cup_to_disc_ratio};

/// Names and colours of the classes of the mask: those of the figure's outlines. The disc is the rim together with the cup.
const CLASSES: [(&str, Colour); 3] = [("background", [0, 0, 0]), ("rim", DISC), ("cup", CUP)];
/// A disc counts as found if at least this share of some square, whose side is half of a crop's side, is disc.
const LEAST_SHARE: f64 = 0.05;

/// The flags of `mtcool predict` that give the place of the optic disc.
pub(super) const OPTIONS: [PredictOption; 2] = [
    PredictOption {
        name: "cropped",
        value_name: None,
        help: "The photographs show the surroundings of the optic disc, with the disc in the middle. Without this flag and \
               without `--centre` the network searches for the disc. In all cases it segments a second time, around the disc of the first segmentation",
    },
    PredictOption {
        name: "centre",
        value_name: Some("X,Y"),
        help: "The place of the optic disc, in pixels from the left and from the top",
    },
];

/// The place of the optic disc in a photograph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Unknown: the network searches for it.
    Unknown,
    /// The middle of the photograph.
    Middle,
    /// A point, in pixels.
    At {
        /// Distance from the left border.
        x: usize,
        /// Distance from the upper border.
        y: usize,
    },
}

impl Place {
    fn of(options: &PredictOptions) -> Result<Self> {
        match (options.contains_key("cropped"), options.get("centre")) {
            (true, Some(_)) => {
                bail!("`--cropped` and `--centre` both give the place of the optic disc: use only one of them")
            }
            (true, None) => Ok(Self::Middle),
            (false, None) => Ok(Self::Unknown),
            (false, Some(text)) => {
                let numbers =
                    text.split_once(',').and_then(|(x, y)| Some((x.trim().parse().ok()?, y.trim().parse().ok()?)));
                let (x, y) =
                    numbers.ok_or_else(|| anyhow!("`--centre` is `{text}`: expected two whole numbers, X,Y"))?;
                Ok(Self::At { x, y })
            }
        }
    }
}

pub(super) struct RefugePredictor {
    /// The place of the disc in every photograph.
    place: Place,
    /// The identity of the training photographs.
    trained: PhotographFiles,
    /// The side of the network's input in pixels.
    side: usize,
    network: Box<dyn Network>,
    parameters: Parameters,
    /// The height and width of every input must be multiples of this number.
    multiple: usize,
}

impl RefugePredictor {
    pub(super) fn new(model: TrainedModel, options: &PredictOptions) -> Result<Self> {
        let side = model.settings::<RefugeSettings>()?.side;
        let trained: PhotographFiles =
            serde_json::from_value(model.files.clone()).context("`files` in the run's config.toml")?;
        ensure!(
            side >= 1 && trained.crop.is_multiple_of(side),
            "the run's config.toml: `data.side` is {side}, expected a divisor of `files.crop`, which is {}",
            trained.crop
        );
        let TrainedModel { network, parameters, side_multiple: multiple, .. } = model;
        Ok(Self { place: Place::of(options)?, trained, side, network, parameters, multiple })
    }

    /// The side of the square around the disc, in pixels of the photograph, and the factor by which it is reduced for the
    /// network.
    fn scale(&self) -> (usize, usize) {
        (self.trained.crop, self.trained.crop / self.side)
    }

    /// Row and column of the disc's middle: the middle of the square with the largest predicted probability of disc.
    fn find(&self, photograph: &Picture) -> Result<[usize; 2]> {
        let (side, (_, shrink)) = (self.side, self.scale());
        let small = photograph.clone().reduced(shrink)?;
        let tiling = search_tiling(side, self.multiple);
        let whole = network_input(&small)?.squeeze(0)?;
        let maps = tiling
            .probabilities(&whole, |tile| Ok(vec![self.network.forward(&self.parameters, SEGMENTATION, tile)?]))?;
        let background = maps[0].get(0)?.to_vec2::<f32>()?;
        let disc: Vec<Vec<f64>> =
            background.iter().map(|row| row.iter().map(|&share| 1.0 - f64::from(share)).collect()).collect();
        let (most, center) = fullest(&disc, side / 2);
        if most < LEAST_SHARE {
            bail!(
                "no optic disc was found; give its place with `--centre X,Y`, or use `--cropped` if it is in the middle"
            );
        }
        Ok(center.map(|at| at * shrink))
    }

    /// The network's predictions for the square around `center`.
    fn look(&self, photograph: &Picture, center: [usize; 2]) -> Result<Seen> {
        let (crop, shrink) = self.scale();
        let input = network_input(&square(photograph, center, crop, shrink)?)?;
        let outputs = self.network.forward_all(&self.parameters, &[&input, &input])?;
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

/// The tiling with which a network for inputs of `side` pixels, a multiple of `multiple`, searches a whole photograph.
pub(super) fn search_tiling(side: usize, multiple: usize) -> Tiling {
    Tiling { side, overlap: side / 2, margin: side / 8, multiple }
}

/// The network's predictions for a square.
struct Seen {
    /// Row and column of the square's middle in the photograph.
    center: [usize; 2],
    /// The predicted classes, `[side * side]`.
    classes: Vec<u8>,
    /// The probabilities of the classes, `[K, side, side]`.
    probabilities: Vec<f32>,
    /// The logits of no glaucoma and of glaucoma.
    logits: Vec<f64>,
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

/// The largest mean of `values` over a square of `side` pixels, and the middle (row, column) of that square. Squares may extend
/// beyond the borders, where all values count as 0.
fn fullest(values: &[Vec<f64>], side: usize) -> (f64, [usize; 2]) {
    let (height, width) = (values.len(), values.first().map_or(0, Vec::len));
    // sums[y][x] is the sum of all values above row y and left of column x.
    let mut sums = vec![vec![0.0; width + 1]; height + 1];
    for y in 0..height {
        let mut row = 0.0;
        for x in 0..width {
            row += values[y][x];
            sums[y + 1][x + 1] = sums[y][x + 1] + row;
        }
    }
    let half = side / 2;
    let mut best = (0.0, [height / 2, width / 2]);
    for y in 0..height {
        let (top, bottom) = (y.saturating_sub(half), (y + side - half).min(height));
        for x in 0..width {
            let (left, right) = (x.saturating_sub(half), (x + side - half).min(width));
            let sum = sums[bottom][right] - sums[top][right] - sums[bottom][left] + sums[top][left];
            let mean = sum / (side * side) as f64;
            if mean > best.0 + 1e-9 {
                best = (mean, [y, x]);
            }
        }
    }
    best
}

impl RefugePredictor {
    /// The reason why the photograph may show another part of the retina than the training photographs do.
    fn warning(&self, photograph: &Picture) -> Option<String> {
        let ([width, height], [shortest, longest]) = (photograph.size(), self.trained.sides);
        // The size of a photograph that was cut out before does not tell its scale.
        let is_usual = (9 * shortest..=11 * longest).contains(&(10 * width.min(height)));
        (self.place != Place::Middle && !is_usual).then(|| {
            let sides = if shortest == longest { shortest.to_string() } else { format!("{shortest} to {longest}") };
            format!(
                "it is {width}x{height} pixels, but the shorter sides of the photographs that the network was trained on had \
                 {sides}: a square of {} pixels shows another part of the retina here; resize the photograph",
                self.trained.crop
            )
        })
    }
}

impl Predictor for RefugePredictor {
    fn predict(&self, file: &Path, warn: &mut dyn FnMut(String)) -> Result<Predicted> {
        let photograph = Picture::read_rgb(file)?;
        self.warning(&photograph).into_iter().for_each(warn);
        let center = match self.place {
            Place::Unknown => self.find(&photograph)?,
            Place::Middle => [photograph.height / 2, photograph.width / 2],
            Place::At { x, y } if x < photograph.width && y < photograph.height => [y, x],
            Place::At { x, y } => bail!(
                "`--centre {x},{y}` lies outside of the photograph, which is {}x{} pixels",
                photograph.width,
                photograph.height
            ),
        };
        let first = self.look(&photograph, center)?;
        // In training, the distance between the centres of the square and of the disc's bounding box was at most `translation`
        // in each direction. A second prediction around the centre that the first one found is within this distance.
        let Seen { center, classes, probabilities, logits } = match self.center_of_disc(&first, &photograph) {
            Some(center) if center != first.center => self.look(&photograph, center)?,
            _ => first,
        };
        let (side, (crop, shrink)) = (self.side, self.scale());
        let glaucoma = probability_of_glaucoma(&logits);
        // Without a disc, neither its centre nor its ratio to the cup has a meaning.
        let has_disc = classes.iter().any(|&class| class != 0);
        let centre = has_disc.then(|| json!({ "x": center[1], "y": center[0] }));
        let ratio = if has_disc { Some(cup_to_disc_ratio(&classes, side, MaskCoding::Indices)?) } else { None };
        let facts = json!({
            "disc_centre": centre,
            "vertical_cup_to_disc_ratio": ratio,
            "probabilities": { "no_glaucoma": 1.0 - glaucoma, "glaucoma": glaucoma },
        });
        let mask = PredictedMap {
            kind: "mask".into(),
            classes: CLASSES.map(|(name, colour)| MapClass::new(name, colour)).into(),
            size: [side; 2],
            probabilities,
            place: MapPlace::Part { corner: center.map(|at| at as i64 - (crop / 2) as i64), scale: [shrink as f64; 2] },
        };
        Ok(Predicted { size: [photograph.height, photograph.width], maps: vec![mask], facts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_square_is_around_what_is_there() {
        let mut values = vec![vec![0.0; 30]; 20];
        for row in values.iter_mut().skip(4).take(5) {
            row[20..25].fill(1.0);
        }
        let (share, [y, x]) = fullest(&values, 5);
        assert!((share - 1.0).abs() < 1e-9);
        assert_eq!([y, x], [6, 22]);
        assert_eq!(fullest(&vec![vec![0.0; 4]; 6], 2), (0.0, [3, 2]));
    }

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
