//! What the file of an exported network says about its photographs and answers.

use anyhow::Result;

use super::settings::HrfAvSettings;
use super::standard::Standard;
use crate::suite::{AnswerForm, ExportForm, PictureForm, TrainedModel};

/// The form of the photographs that a network of this data set reads, and the names of its classes.
///
/// # Errors
/// If another version of the program wrote the run's configuration.
pub(super) fn form(model: &TrainedModel) -> Result<ExportForm> {
    let HrfAvSettings { scale, tile, .. } = model.settings()?;
    let Standard { mean, deviation } = Standard::of_run(&model.files)?;
    let description = format!(
        "fundus photographs at 1/{scale} of the published size, in overlapping tiles of {tile}x{tile} pixels as in predictions of \
         the run; red, green, blue"
    );
    let photographs =
        PictureForm { description, white: 255.0, mean: mean.into(), deviation: deviation.into(), multiple: None };
    let answers = vec![AnswerForm::new(["background", "vessel"]), AnswerForm::new(["background", "artery", "vein"])];
    Ok(ExportForm { pictures: vec![photographs], answers })
}
