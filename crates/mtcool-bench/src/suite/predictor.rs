//! The predictions of a trained network for the user's own photographs.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use mtcool_core::{Network, Parameters};
use mtcool_data::picture::Picture;
use serde::de::DeserializeOwned;
use serde_json::Value;

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

/// The pixels of a predicted picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PredictedPicture {
    /// One grey level per pixel, `[H, W]`.
    Grey {
        /// Number of rows.
        height: usize,
        /// Number of columns.
        width: usize,
        /// The grey levels, `[H * W]`.
        levels: Vec<u8>,
    },
    /// Red, green and blue, `[H, W, 3]`.
    Colour {
        /// Number of rows.
        height: usize,
        /// Number of columns.
        width: usize,
        /// The colours, `[H * W * 3]`.
        rgb: Vec<u8>,
    },
}

/// The predictions for one photograph.
#[derive(Clone, Debug)]
pub struct Predicted {
    /// Pictures, each with its kind, such as `mask`.
    pub pictures: Vec<(&'static str, PredictedPicture)>,
    /// Numbers, as a JSON object.
    pub facts: Value,
}

/// A trained network that makes predictions for photographs.
pub trait Predictor {
    /// The reason why a prediction for `photograph` is less reliable than one for a photograph like those of the training set;
    /// `None` if there is no such reason.
    fn warning(&self, photograph: &Picture) -> Option<String> {
        let _ = photograph;
        None
    }

    /// Predicts pictures and numbers for `photograph`.
    ///
    /// # Errors
    /// If the photograph cannot be used, for example because the region of interest is not found.
    fn predict(&self, photograph: Picture) -> Result<Predicted>;
}
