//! Photographs of other cameras, or windows of them around the optic disc such as those of ORIGA, on which networks are measured
//! that were trained on REFUGE2018.
//!
//! No truth places the square: as `mtcool predict --cropped`, the network looks at the middle of the picture first, and then at the
//! disc that it found.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use mtcool_core::{Network, Parameters};
use mtcool_data::folder::{Fit, Folder, FolderConfig, Label, Normalization, OpenOptions, Part, TrainingStatistics};
use mtcool_data::picture::Picture;
use mtcool_data::refuge::{GLAUCOMA, SEGMENTATION};
use mtcool_metrics::{
    BinaryScores, ClassMap, MaskCoding, Metric, Structure, cup_to_disc_error, cup_to_disc_ratio, dice,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::evaluate::{diagnosis, probability_of_glaucoma};
use super::looking::Looking;
use super::photographs::PhotographFiles;
use super::settings::RefugeSettings;
use super::spec::TASKS;
use crate::progress::counter;
use crate::suite::{ConfigError, Evaluation, ExternalFolder, ExternalSet, Name, NonFinite, TrainedOn};

/// The classes in the order of the network's outputs.
const CLASSES: [&str; 3] = ["background", "rim", "cup"];

/// Where the pictures and their labels are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layout {
    /// The file of a picture, such as `images/{case}.jpg`.
    images: String,
    /// The file of its mask, such as `masks/{case}.png`.
    masks: String,
    /// The values of masks and what they stand for: `background`, `rim` or `cup`.
    #[serde(default = "usual_values")]
    classes: BTreeMap<String, String>,
    /// The table with the diagnoses; without it, the segmentation alone is measured.
    #[serde(default)]
    table: Option<PathBuf>,
    /// The column with the names of the cases.
    #[serde(default = "case")]
    case: String,
    /// The column with the diagnoses.
    #[serde(default = "glaucoma")]
    glaucoma: String,
    /// What the cells of that column contain without and with glaucoma.
    #[serde(default = "usual_diagnoses")]
    diagnoses: [Value; 2],
    /// The factor by which the sides are multiplied, so that discs are as large as in the training photographs.
    scale: f64,
}

fn usual_values() -> BTreeMap<String, String> {
    (0..).zip(CLASSES).map(|(value, class): (u8, &str)| (value.to_string(), class.to_owned())).collect()
}

fn case() -> String {
    "case".into()
}

fn glaucoma() -> String {
    "glaucoma".into()
}

fn usual_diagnoses() -> [Value; 2] {
    [json!(0), json!(1)]
}

/// A picture in the size in which it is predicted and measured.
struct External {
    picture: Picture,
    /// Background, rim or cup of each pixel `[H * W]`.
    truth: Option<Vec<u8>>,
    glaucoma: Option<bool>,
}

pub(super) struct RefugeExternal {
    trained: PhotographFiles,
    side: usize,
    pictures: Vec<External>,
    checksums: BTreeMap<String, String>,
    digest: String,
    notes: Vec<String>,
}

impl RefugeExternal {
    /// # Errors
    /// If the layout has a wrong key, or something is wrong with the folder.
    pub(super) fn open(trained: TrainedOn<'_>, external: ExternalFolder<'_>) -> Result<Self> {
        let settings: RefugeSettings = serde_json::from_value(trained.settings.clone()).context("`data` of the run")?;
        let layout: Layout = serde_json::from_value(Value::Object(external.layout.clone())).map_err(|error| {
            ConfigError::new(format!(
                "{error}: expected `images` such as \"images/{{case}}.jpg\", `masks` such as \"masks/{{case}}.png\", and `scale`, the \
                 factor by which the sides are multiplied, so that discs are as large as in the training photographs; for the \
                 diagnoses `table`, `case` and `glaucoma`"
            ))
        })?;
        let side = settings.side;
        let folder = open(external, &layout, side)?;
        let cases: Vec<usize> = folder.parts().of(Part::Test).iter().map(|&case| case as usize).collect();
        let checksum = |&case: &usize| {
            let sha256 = folder.picture_sha256(SEGMENTATION, case)?;
            Some((folder.cases()[case].name.clone(), format!("sha256:{sha256}")))
        };
        Ok(Self {
            trained: PhotographFiles::of_run(trained.files, side)?,
            side,
            pictures: cases.iter().filter_map(|&case| picture(&folder, case)).collect(),
            checksums: cases.iter().filter_map(checksum).collect(),
            digest: folder.fingerprint().to_owned(),
            notes: folder.notes().to_vec(),
        })
    }
}

/// The pictures with a label, read as a folder of one's own with the same tasks.
fn open(external: ExternalFolder<'_>, layout: &Layout, side: usize) -> Result<Folder> {
    let Layout { images, masks, classes, table, case, glaucoma, diagnoses, scale } = layout;
    let config: FolderConfig = serde_json::from_value(json!({
        "images": images,
        "table": table,
        "case": case,
        "size": [side, side],
        "fit": Fit::Patches,
        "scale": scale,
        "tasks": [
            { "name": TASKS[SEGMENTATION], "kind": "segmentation", "mask": masks, "classes": classes, "order": CLASSES },
            { "name": TASKS[GLAUCOMA], "kind": "classification", "column": glaucoma, "classes": diagnoses },
        ],
    }))
    .map_err(|error| ConfigError::new(error.to_string()))?;
    // Standardised as in training when squares are cut.
    let unchanged = Normalization { mean: vec![0.0; 3], deviation: vec![1.0; 3] };
    let statistics = TrainingStatistics { normalization: vec![unchanged; 2], scale: vec![[0.0, 1.0]; 2] };
    let options = OpenOptions { cache: external.cache.to_owned(), read_parquet: None };
    let progress = counter("reading pictures");
    Ok(Folder::open_for_test(external.folder, &config, (&config, &statistics), &options, &progress)?)
}

/// Case number `case`.
fn picture(folder: &Folder, case: usize) -> Option<External> {
    let pixels = folder.picture(SEGMENTATION, case)?;
    let (height, width) = (pixels.height, pixels.width);
    Some(External {
        picture: Picture { height, width, channels: 3, bytes: pixels.to_rgb8() },
        truth: folder.mask(SEGMENTATION, case).map(|(_, classes)| classes.to_vec()),
        glaucoma: match folder.label(GLAUCOMA, case) {
            Some(Label::Class(class)) => Some(*class == 1),
            _ => None,
        },
    })
}

impl ExternalSet for RefugeExternal {
    fn digest(&self) -> String {
        self.digest.clone()
    }

    fn files(&self) -> BTreeMap<String, String> {
        self.checksums.clone()
    }

    fn cases(&self) -> Vec<(Name, usize)> {
        let masks = self.pictures.iter().filter(|each| each.truth.is_some()).count();
        let diagnoses = self.pictures.iter().filter(|each| each.glaucoma.is_some()).count();
        let counts = TASKS.into_iter().zip([masks, diagnoses]).filter(|(_, count)| *count > 0);
        counts.map(|(task, count)| (task.into(), count)).collect()
    }

    fn notes(&self) -> Vec<String> {
        let place = "The network looks at the middle of each picture, and then at the disc that it found there";
        std::iter::once(place.to_owned()).chain(self.notes.iter().cloned()).collect()
    }

    fn measure(&self, network: &dyn Network, parameters: &Parameters) -> Result<Evaluation> {
        let looking = Looking { crop: self.trained.crop, side: self.side, network, parameters };
        let mut found = Found::default();
        for External { picture, truth, glaucoma } in &self.pictures {
            let seen = looking.twice(picture, [picture.height / 2, picture.width / 2])?;
            let probability = probability_of_glaucoma(&seen.logits);
            let probability = NonFinite::check(TASKS[GLAUCOMA], "predicted probability", probability)?;
            if let Some(truth) = truth {
                found.add_map(&looking.whole(&seen, [picture.height, picture.width]), truth, picture.width)?;
            }
            if let Some(glaucoma) = glaucoma {
                found.probabilities.push(probability);
                found.labels.push(*glaucoma);
            }
        }
        found.evaluation()
    }
}

/// What was found on the pictures so far.
#[derive(Default)]
struct Found {
    /// Dice of cup and disc, in per cent.
    dice: [Vec<f64>; 2],
    /// Cup-to-disc ratios: predicted and true.
    ratios: [Vec<f64>; 2],
    probabilities: Vec<f64>,
    labels: Vec<bool>,
}

impl Found {
    fn add_map(&mut self, predicted: &[u8], truth: &[u8], width: usize) -> Result<()> {
        for (structure, all) in [Structure::Cup, Structure::Disc].into_iter().zip(&mut self.dice) {
            let positive = structure.classes(MaskCoding::Indices);
            let of = |classes| ClassMap { classes, positive };
            all.push(100.0 * dice(of(predicted), of(truth))?);
        }
        for (mask, ratios) in [predicted, truth].into_iter().zip(&mut self.ratios) {
            ratios.push(cup_to_disc_ratio(mask, width, MaskCoding::Indices)?);
        }
        Ok(())
    }

    fn evaluation(self) -> Result<Evaluation> {
        let mut evaluation = Evaluation::default();
        let mut measure =
            |task: usize, metric: Metric, value: f64| evaluation.measure(TASKS[task], metric.name(), value);
        let [cup, disc] = &self.dice;
        if !cup.is_empty() {
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            measure(SEGMENTATION, Metric::DiceCup, mean(cup));
            measure(SEGMENTATION, Metric::DiceDisc, mean(disc));
            measure(SEGMENTATION, Metric::CupToDiscError, cup_to_disc_error(&self.ratios[0], &self.ratios[1])?);
        }
        if !self.labels.is_empty() {
            let scores = BinaryScores::new(&self.probabilities, &self.labels)?;
            for (metric, value) in diagnosis(&scores) {
                measure(GLAUCOMA, metric, 100.0 * value);
            }
        }
        Ok(evaluation)
    }
}
