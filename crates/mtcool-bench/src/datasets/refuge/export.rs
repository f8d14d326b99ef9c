//! What the file of an exported network says about its crops and answers.

use anyhow::{Context, Result};
use mtcool_data::refuge::{PIXEL_MEAN, PIXEL_STD};

use super::photographs::PhotographFiles;
use super::predict::CLASSES;
use super::settings::RefugeSettings;
use crate::suite::{AnswerForm, ExportForm, PictureForm, TrainedModel};

/// The form of the crops that a network of this data set reads, and the names of its classes.
///
/// # Errors
/// If another version of the program wrote the run's configuration.
pub(super) fn form(model: &TrainedModel) -> Result<ExportForm> {
    let side = model.settings::<RefugeSettings>()?.side;
    let PhotographFiles { crop, .. } =
        serde_json::from_value(model.files.clone()).context("`files` in the run's config.toml")?;
    let description = format!(
        "a square of {crop} pixels of a fundus photograph with the optic disc in the middle, reduced to {side}x{side} pixels by the \
         mean of each block of pixels; red, green, blue"
    );
    let crops =
        PictureForm { description, white: 255.0, mean: PIXEL_MEAN.into(), deviation: PIXEL_STD.into(), multiple: None };
    let answers = vec![AnswerForm::new(CLASSES.map(|(name, _)| name)), AnswerForm::new(["healthy", "glaucoma"])];
    Ok(ExportForm { pictures: vec![crops], answers })
}
