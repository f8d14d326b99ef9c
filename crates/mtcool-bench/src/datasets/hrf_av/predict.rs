//! A trained network on a photograph of the user's own: its vessels, and which are arteries.

use anyhow::Result;
use candle_core::{Device, Tensor};
use mtcool_core::{Network, Parameters};
use mtcool_data::augment::{Change, Crop, Source};
use mtcool_data::hrf_av::Class;
use mtcool_data::picture::Picture;
use serde_json::json;

use super::settings::HrfAvSettings;
use super::{HEADS, evaluate, unet};
use crate::predict::{Place, Predicted, Predictor, StoredModel, colour_png, grey_png};

pub(super) struct HrfAvPredictor {
    settings: HrfAvSettings,
    network: Box<dyn Network>,
    parameters: Parameters,
}

impl HrfAvPredictor {
    pub(super) fn new(model: StoredModel) -> Result<Self> {
        let network = unet(&model.network, &HEADS, model.precision, model.sharing)?;
        let parameters = model.parameters_of(network.as_ref())?;
        Ok(Self { settings: model.settings()?, network, parameters })
    }
}

impl Predictor for HrfAvPredictor {
    fn predict(&self, photograph: Picture, _: Place) -> Result<Predicted> {
        let picture = photograph.reduced(self.settings.scale)?;
        let (height, width) = (picture.height, picture.width);
        let source = Source { bytes: &picture.bytes, height, width };
        let mut values = vec![0.0; 3 * height * width];
        Change::NONE.picture(source, Crop::whole(source), &mut values);
        let pixels = Tensor::from_vec(values, (1, 3, height, width), &Device::Cpu)?;
        let classes = evaluate::predict(&pixels, self.settings.tiling(), self.network.as_ref(), &self.parameters)?;
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
        let pictures =
            vec![("vessels", grey_png(height, width, vessels)?), ("av", colour_png(height, width, colours)?)];
        Ok(Predicted { pictures, facts })
    }
}
