//! Photographs of other cameras with artery/vein labels in the colours of HRF-AV, such as those of DRIVE, on which networks are
//! measured that were trained on HRF-AV.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use mtcool_core::{Network, Parameters};
use mtcool_data::augment::PixelView;
use mtcool_data::folder::{Fit, Folder, FolderConfig, MaskValue, Normalization, OpenOptions, Part, TrainingStatistics};
use mtcool_data::hrf_av::{Class, FIELD, VESSEL};
use serde::Deserialize;
use serde_json::{Value, json};

use super::evaluate::{Marked, evaluate};
use super::settings::{HrfAvSettings, MeasuredArea};
use super::spec::TASKS;
use super::standard::Standard;
use crate::progress::counter;
use crate::suite::{ConfigError, Evaluation, ExternalFolder, ExternalSet, Name, TrainedOn};

/// How far a channel of a label's pixel may be from a pure colour, for labels with soft edges.
const TOLERANCE: u16 = 127;

/// Where the photographs and their labels are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layout {
    /// The file of a photograph, such as `test/images/{case}.png`.
    images: String,
    /// The file of its label, such as `test/labels/{case}_AVmanual.png`.
    labels: String,
    /// The factor by which the sides are multiplied, so that vessels are as wide as in the training photographs.
    scale: f64,
}

/// A photograph in the size in which it is predicted and measured.
struct External {
    case: String,
    size: [usize; 2],
    pixels: Vec<u8>,
    marks: Vec<u8>,
    sha256: String,
}

pub(super) struct HrfAvExternal {
    settings: HrfAvSettings,
    standard: Standard,
    photographs: Vec<External>,
    digest: String,
    notes: Vec<String>,
}

impl HrfAvExternal {
    /// # Errors
    /// If the layout has a wrong key, or something is wrong with the folder.
    pub(super) fn open(trained: TrainedOn<'_>, external: ExternalFolder<'_>) -> Result<Self> {
        let settings: HrfAvSettings = serde_json::from_value(trained.settings.clone()).context("`data` of the run")?;
        let layout: Layout = serde_json::from_value(Value::Object(external.layout.clone())).map_err(|error| {
            ConfigError::new(format!(
                "{error}: expected `images` such as \"test/images/{{case}}.png\", `labels` such as \
                 \"test/labels/{{case}}_AVmanual.png\", and `scale`, the factor by which the sides are multiplied, so that vessels \
                 are as wide as in the training photographs"
            ))
        })?;
        ensure!(
            settings.region == MeasuredArea::Image,
            "`data.settings.region` is \"fov\", but external photographs have no fields of view: measure them with \"image\""
        );
        let folder = open(external, &layout, &settings)?;
        let photographs: Vec<External> =
            folder.parts().of(Part::Test).iter().filter_map(|&case| photograph(&folder, case as usize)).collect();
        Ok(Self {
            standard: Standard::of_run(trained.files)?,
            settings,
            photographs,
            digest: folder.fingerprint().to_owned(),
            notes: folder.notes().to_vec(),
        })
    }
}

/// The photographs with a label, read as a folder of one's own whose only task has the classes of the labels.
fn open(external: ExternalFolder<'_>, layout: &Layout, settings: &HrfAvSettings) -> Result<Folder> {
    let name = |class: Class| if class == Class::Background { "background".to_owned() } else { format!("{class:?}") };
    let classes: BTreeMap<String, String> =
        Class::ALL.map(|class| (MaskValue::of_color(class.colour()).to_string(), name(class))).into();
    let config: FolderConfig = serde_json::from_value(json!({
        "images": layout.images,
        "size": [settings.tile, settings.tile],
        "fit": Fit::Patches,
        "scale": layout.scale,
        "tasks": [{
            "name": TASKS[1],
            "kind": "segmentation",
            "mask": layout.labels,
            "classes": classes,
            "tolerance": TOLERANCE,
        }],
    }))?;
    // Standardised as in training when tiles are cut.
    let unchanged = Normalization { mean: vec![0.0; 3], deviation: vec![1.0; 3] };
    let statistics = TrainingStatistics { normalization: vec![unchanged], scale: vec![[0.0, 1.0]] };
    let options = OpenOptions { cache: external.cache.to_owned(), read_parquet: None };
    let progress = counter("reading photographs");
    Ok(Folder::open_for_test(external.folder, &config, (&config, &statistics), &options, &progress)?)
}

/// Case number `case` with a mark for each pixel; all of them count as inside of the field of view.
fn photograph(folder: &Folder, case: usize) -> Option<External> {
    let pixels = folder.picture(0, case)?;
    let (size, labels) = folder.mask(0, case)?;
    let outputs = &folder.tasks()[0].outputs;
    let class = |label: &u8| {
        Class::ALL.into_iter().find(|class| outputs.get(usize::from(*label)) == Some(&format!("{class:?}")))
    };
    let mark = |label: &u8| match class(label) {
        Some(class) => FIELD | VESSEL | class as u8,
        None => FIELD,
    };
    // There are few classes and many pixels.
    let of_label: Vec<u8> = (0..=u8::MAX).map(|label| mark(&label)).collect();
    Some(External {
        case: folder.cases()[case].name.clone(),
        size,
        pixels: pixels.to_rgb8(),
        marks: labels.iter().map(|&label| of_label[usize::from(label)]).collect(),
        sha256: format!("sha256:{}", folder.picture_sha256(0, case)?),
    })
}

impl ExternalSet for HrfAvExternal {
    fn digest(&self) -> String {
        self.digest.clone()
    }

    fn files(&self) -> BTreeMap<String, String> {
        self.photographs.iter().map(|each| (each.case.clone(), each.sha256.clone())).collect()
    }

    fn cases(&self) -> Vec<(Name, usize)> {
        TASKS.map(|task| (task.into(), self.photographs.len())).into()
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn measure(&self, network: &dyn Network, parameters: &Parameters) -> Result<Evaluation> {
        let marked = self.photographs.iter().map(|External { case, size, pixels, marks, .. }| {
            let [height, width] = *size;
            Marked {
                case: case.clone(),
                pixels: PixelView { bytes: pixels, height, width },
                marks: PixelView { bytes: marks, height, width },
            }
        });
        evaluate(marked, &self.settings, self.standard, (network, parameters), None)
    }
}
