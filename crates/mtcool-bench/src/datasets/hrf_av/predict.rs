//! Predictions for the user's own photographs: vessels, and which of them are arteries or veins.

use anyhow::{Result, bail};
use mtcool_core::{Network, Parameters};
use mtcool_data::augment::PixelView;
use mtcool_data::hrf_av::{Class, SetShape};
use mtcool_data::picture::Picture;
use serde_json::json;

use super::evaluate;
use super::settings::{HrfAvSettings, own_scale};
use super::standard::Standard;
use crate::suite::{Predicted, PredictedPicture, Predictor, TrainedModel};

pub(super) struct HrfAvPredictor {
    settings: HrfAvSettings,
    standard: Standard,
    network: Box<dyn Network>,
    parameters: Parameters,
}

impl HrfAvPredictor {
    pub(super) fn new(model: TrainedModel) -> Result<Self> {
        let (settings, standard) = (model.settings()?, Standard::of_run(&model.files)?);
        Ok(Self { settings, standard, network: model.network, parameters: model.parameters })
    }

    /// The photograph, reduced to the size of the training photographs. It is assumed to show the same part of a retina.
    fn reduced(&self, photograph: Picture) -> Result<Picture> {
        let (scale, width, official) = (self.settings.scale, photograph.width, SetShape::OFFICIAL.size[0]);
        let Some(own) = own_scale(scale, width) else {
            let least = (1..official).find(|&width| own_scale(scale, width).is_some()).unwrap_or(official);
            bail!(
                "it is {width} pixels wide, and this run trained on photographs of {official} pixels that were made {scale} times narrower: \
                 expected a multiple of {least} pixels; resize it to {official}"
            );
        };
        Ok(photograph.reduced(own)?)
    }
}

impl Predictor for HrfAvPredictor {
    fn predict(&self, photograph: Picture) -> Result<Predicted> {
        let picture = self.reduced(photograph)?;
        let (height, width) = (picture.height, picture.width);
        let source = PixelView { bytes: &picture.bytes, height, width };
        let tiling = self.settings.tiling();
        let classes = evaluate::predict(source, self.standard, tiling, self.network.as_ref(), &self.parameters)?;
        let share = |classes: &[u8], class: Class| {
            classes.iter().filter(|&&found| found == class as u8).count() as f64 / classes.len() as f64
        };
        let facts = json!({
            "width": width,
            "height": height,
            "share_of_vessel": classes[0].iter().filter(|&&class| class != 0).count() as f64 / classes[0].len() as f64,
            "share_of_artery": share(&classes[1], Class::Artery),
            "share_of_vein": share(&classes[1], Class::Vein),
        });
        let colours = classes[1].iter().flat_map(|&class| Class::ALL[usize::from(class)].colour()).collect();
        let vessels = classes[0].iter().map(|&class| 255 * class).collect();
        let pictures = vec![
            ("vessels", PredictedPicture::Grey { height, width, levels: vessels }),
            ("av", PredictedPicture::Colour { height, width, rgb: colours }),
        ];
        Ok(Predicted { pictures, facts })
    }
}
