//! The predictions of a trained network for the user's own photographs.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use mtcool_core::{Network, Parameters};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::figure::Colour;
use super::name::Name;
use super::task::DatasetSpec;

/// The network of a finished run, ready for predictions.
pub struct TrainedModel {
    /// The network.
    pub network: Box<dyn Network>,
    /// Its trained parameters.
    pub parameters: Parameters,
    /// The height and width of its inputs must be multiples of this number.
    pub side_multiple: usize,
    /// Tasks and input size of the data set.
    pub spec: DatasetSpec,
    /// How the training data were drawn; `null` for real data.
    pub origin: Value,
    /// A digest that identifies the training samples, if the data set provides one; otherwise `null`.
    pub files: Value,
    /// Settings of the data set.
    pub data_settings: Value,
    /// The run's seed, which may determine its part of the data.
    pub seed: u64,
}

impl TrainedModel {
    /// The settings of the data set.
    ///
    /// # Errors
    /// If they were written by another version of this program.
    pub fn settings<S: DeserializeOwned>(&self) -> Result<S> {
        serde_json::from_value(self.data_settings.clone()).context("`data` in the run's config.toml")
    }
}

/// A flag of `mtcool predict` that only the predictor of one data set understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PredictOption {
    /// The flag's name without the dashes.
    pub name: &'static str,
    /// The name of its value in the help text; `None` for a flag without a value.
    pub value_name: Option<&'static str>,
    /// The description in the help text.
    pub help: &'static str,
}

/// The given flags by name; a flag without a value has an empty string.
pub type PredictOptions = BTreeMap<String, String>;

/// A class of a predicted map, and the colour that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapClass {
    /// Its name, such as `cup`.
    pub name: Name,
    /// Its colour in the mask.
    pub colour: Colour,
    /// The value of its pixels in the mask; the number of the class if `None`.
    pub value: Option<u8>,
}

impl MapClass {
    /// The class `name`, shown in `colour`.
    pub fn new(name: impl Into<Name>, colour: Colour) -> Self {
        Self { name: name.into(), colour, value: None }
    }

    /// The same, whose pixels in the mask have the value `value`.
    #[must_use]
    pub fn with_value(self, value: u8) -> Self {
        Self { value: Some(value), ..self }
    }
}

/// The class probabilities that the network predicts for a photograph or a part of it, in pixels of the network's input. The
/// program enlarges them to the photograph's own size.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictedMap {
    /// The name of the map, with which the names of its files end, such as `mask`.
    pub kind: Name,
    /// The K classes by number, at most 256. Class 0 is the background.
    pub classes: Vec<MapClass>,
    /// Height and width, in pixels of the map.
    pub size: [usize; 2],
    /// The probabilities `[K, H, W]`.
    pub probabilities: Vec<f32>,
    /// Where the map lies in the photograph.
    pub place: MapPlace,
}

impl PredictedMap {
    /// The value of each class in the mask.
    pub fn values(&self) -> Vec<u8> {
        (0..=u8::MAX).zip(&self.classes).map(|(number, class)| class.value.unwrap_or(number)).collect()
    }
}

/// Where a predicted map lies in its photograph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MapPlace {
    /// It covers the whole photograph from the upper left corner, and each of its pixels covers `scale` pixels of the photograph
    /// along rows and columns. Pixels of the photograph that are left over at the lower and right borders take the nearest
    /// prediction.
    Whole {
        /// Rows and columns of the photograph in one pixel of the map.
        scale: [f64; 2],
    },
    /// It covers a part; all other pixels are background.
    Part {
        /// Row and column of the photograph where the part begins. They are negative if it begins outside of the photograph.
        corner: [i64; 2],
        /// Rows and columns of the photograph in one pixel of the map.
        scale: [f64; 2],
    },
}

/// The predictions for one photograph.
#[derive(Clone, Debug)]
pub struct Predicted {
    /// Height and width of the photograph.
    pub size: [usize; 2],
    /// One map for each dense task.
    pub maps: Vec<PredictedMap>,
    /// Everything else, as a JSON object. A quantity that has no meaning for this photograph is `null`. If several networks predict
    /// together, the numbers are averaged.
    pub facts: Value,
}

/// A trained network that makes predictions for photographs.
pub trait Predictor {
    /// Predicts maps and facts for the photograph in `file`. `warn` is told why a prediction is less reliable than one for a
    /// photograph like those of the training set.
    ///
    /// # Errors
    /// If the photograph cannot be used, for example because the region of interest is not found.
    fn predict(&self, file: &Path, warn: &mut dyn FnMut(String)) -> Result<Predicted>;

    /// What follows from the facts of one network, or from the means of several networks' facts, as a JSON object.
    fn conclusions(&self, facts: &Value) -> Value {
        let _ = facts;
        json!({})
    }
}
