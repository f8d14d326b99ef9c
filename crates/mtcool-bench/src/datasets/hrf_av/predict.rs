//! Predictions for the user's own photographs: vessels, and which of them are arteries or veins.

use std::path::Path;

use anyhow::{Result, bail};
use mtcool_core::{Network, Parameters};
use mtcool_data::augment::PixelView;
use mtcool_data::hrf_av::{Class, SetShape};
use mtcool_data::picture::Picture;
use mtcool_models::Tile;
use serde_json::json;

use super::settings::{HrfAvSettings, own_scale};
use super::standard::Standard;
use crate::suite::{MapClass, MapPlace, Predicted, PredictedMap, Predictor, TrainedModel};

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
    fn predict(&self, file: &Path, _: &mut dyn FnMut(String)) -> Result<Predicted> {
        let photograph = Picture::read_rgb(file)?;
        let full = [photograph.height, photograph.width];
        let picture = self.reduced(photograph)?;
        let size = [picture.height, picture.width];
        let source = PixelView { bytes: &picture.bytes, height: size[0], width: size[1] };
        let (standard, tiling) = (self.standard, self.settings.tiling());
        let forward = |tile: &Tile| {
            let input = standard.tile(source, tile)?;
            self.network.forward_all(&self.parameters, &[&input, &input])
        };
        let probabilities = tiling.maps(size, forward)?;
        // Whole blocks of pixels became one pixel.
        let scale = (full[1] / size[1]) as f64;
        let map = |((kind, classes), probabilities): ((&'static str, Vec<MapClass>), Vec<f32>)| {
            let place = MapPlace::Whole { scale: [scale; 2] };
            PredictedMap { kind: kind.into(), classes, size, probabilities, place }
        };
        let kinds = [Class::Background, Class::Artery, Class::Vein];
        let kinds = kinds.into_iter().zip(["background", "artery", "vein"]);
        let kinds = kinds.map(|(class, name)| MapClass::new(name, class.colour())).collect();
        let vessels = [("background", [0; 3]), ("vessel", [255; 3])];
        let vessels = vessels.map(|(name, colour)| MapClass::new(name, colour)).into();
        let maps = [("vessels", vessels), ("av", kinds)].into_iter().zip(probabilities).map(map).collect();
        Ok(Predicted { size: full, maps, facts: json!({}) })
    }
}
