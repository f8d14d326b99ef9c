//! Predictions for the user's own photographs: find the disc, cut a square around it, segment it, and predict glaucoma.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use mtcool_core::{Network, Parameters};
use mtcool_data::picture::Picture;
use mtcool_data::refuge::{SEGMENTATION, network_input};
use mtcool_models::Tiling;
use serde_json::json;

use super::evaluate::probability_of_glaucoma;
use super::looking::{Looking, Seen};
use super::photographs::PhotographFiles;
use super::settings::RefugeSettings;
use super::spec::{CUP, DISC};
use crate::suite::{
    Colour, MapClass, MapPlace, PredictOption, PredictOptions, Predicted, PredictedMap, Predictor, TrainedModel,
};
use mtcool_metrics::{MaskCoding, cup_to_disc_ratio};

/// Names and colours of the classes of the mask: those of the figure's outlines. The disc is the rim together with the cup.
pub(super) const CLASSES: [(&str, Colour); 3] = [("background", [0, 0, 0]), ("rim", DISC), ("cup", CUP)];
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
        let trained = PhotographFiles::of_run(&model.files, side)?;
        let TrainedModel { network, parameters, side_multiple: multiple, .. } = model;
        Ok(Self { place: Place::of(options)?, trained, side, network, parameters, multiple })
    }

    /// The side of the square around the disc, in pixels of the photograph, and the factor by which it is reduced for the
    /// network.
    fn scale(&self) -> (usize, usize) {
        (self.trained.crop, self.trained.crop / self.side)
    }

    fn looking(&self) -> Looking<'_> {
        let (network, parameters) = (self.network.as_ref(), &self.parameters);
        Looking { crop: self.trained.crop, side: self.side, network, parameters }
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
}

/// The tiling with which a network for inputs of `side` pixels, a multiple of `multiple`, searches a whole photograph.
pub(super) fn search_tiling(side: usize, multiple: usize) -> Tiling {
    Tiling { side, overlap: side / 2, margin: side / 8, multiple }
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
        let Seen { center, classes, probabilities, logits } = self.looking().twice(&photograph, center)?;
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
}
