//! `mtcool predict`: what a finished run makes of photographs of the user's own.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::{DType, Device};
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use mtcool_core::{Network, Parameters};
use mtcool_data::picture::Picture;
use mtcool_ops::Precision;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cli::Predict;
use crate::config::{NetworkConfig, StoredConfig};
use crate::datasets;
use crate::methods::{self, Sharing};
use crate::record::{create_folder, read, read_model, write_whole};

/// Where in a photograph the optic disc is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To be found.
    Unknown,
    /// In the middle.
    Middle,
    /// There, in pixels from the left and from the top.
    At {
        /// From the left.
        x: usize,
        /// From the top.
        y: usize,
    },
}

/// What is said of a photograph.
pub struct Predicted {
    /// PNG files by what they are, such as `mask`.
    pub pictures: Vec<(&'static str, Vec<u8>)>,
    /// Numbers: a JSON object.
    pub facts: Value,
}

/// A trained network that looks at photographs.
pub trait Predictor {
    /// What it makes of `photograph`.
    ///
    /// # Errors
    /// If it finds nothing to look at.
    fn predict(&self, photograph: Picture, place: Place) -> Result<Predicted>;
}

/// A finished run's network before it is built.
pub struct StoredModel {
    /// Sizes of the network.
    pub network: NetworkConfig,
    /// Of its operands.
    pub precision: Precision,
    /// Whether its tasks share it.
    pub sharing: Sharing,
    /// How its data were drawn; `null` for the real data.
    pub origin: Value,
    /// What its samples are beyond that, if the data set says so.
    pub files: Value,
    /// Settings of its data set.
    data: Value,
    /// Where the parameters lie.
    file: PathBuf,
}

impl StoredModel {
    /// Reads a run's config; says of which data set it is.
    fn read(run: &Path) -> Result<(String, Self)> {
        let path = run.join("config.toml");
        let text = read(&path).with_context(|| {
            format!("`{}` is no folder of a run, such as `results/table2/runs/mtcool-s0`", run.display())
        })?;
        let parse = || -> Result<StoredConfig> { Ok(StoredConfig::parse(std::str::from_utf8(&text)?)?) };
        let stored = parse().with_context(|| format!("`{}` is damaged", path.display()))?;
        let StoredConfig { dataset, method, network, precision, origin, files, data } = stored;
        let file = run.join("model.safetensors");
        ensure!(file.exists(), "`{}` is not there: this run is not finished", file.display());
        let sharing = methods::find(&method)?.sharing;
        Ok((dataset, Self { network, precision: precision.of_operands(), sharing, origin, files, data, file }))
    }

    /// The settings of the data set.
    ///
    /// # Errors
    /// If they are of another version of this program.
    pub fn settings<S: DeserializeOwned>(&self) -> Result<S> {
        serde_json::from_value(self.data.clone()).context("`data` in the run's config.toml")
    }

    /// The trained parameters, in the order of `network`.
    ///
    /// # Errors
    /// If the file is damaged or another network's.
    pub fn parameters_of(&self, network: &dyn Network) -> Result<Parameters> {
        let template = network.initial_parameters(0, DType::F32, &Device::Cpu)?;
        read_model(&self.file, &template)
    }
}

/// Carries out `mtcool predict`: a line of JSON a photograph, its pictures in the folder.
///
/// # Errors
/// If the run cannot be used, or a photograph could not; the others are done first.
pub fn run(arguments: &Predict) -> Result<()> {
    let (dataset, model) = StoredModel::read(&arguments.checkpoint)?;
    let Some(predictor) = datasets::find(&dataset)?.predictor else {
        bail!("a run on `{dataset}` says nothing of photographs: expected one of table2 or table3");
    };
    let predictor = predictor(model).with_context(|| format!("`{}`", arguments.checkpoint.display()))?;
    let place = match (arguments.cropped, arguments.centre) {
        (true, _) => Place::Middle,
        (false, None) => Place::Unknown,
        (false, Some((x, y))) => Place::At { x, y },
    };
    create_folder(&arguments.out)?;
    let mut failures = Vec::new();
    for image in &arguments.images {
        match predict(predictor.as_ref(), image, place, &arguments.out) {
            Ok(line) => println!("{line}"),
            Err(error) => failures.push(format!("`{}`: {error:#}", image.display())),
        }
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(anyhow!("{} of {} photographs: {}", failures.len(), arguments.images.len(), failures.join("\n"))),
    }
}

fn predict(predictor: &dyn Predictor, image: &Path, place: Place, out: &Path) -> Result<Value> {
    let predicted = predictor.predict(Picture::read_rgb(image)?, place)?;
    let stem = image.file_stem().context("a photograph without a name")?.to_string_lossy().into_owned();
    let mut line = json!({ "image": image.display().to_string() });
    for (kind, png) in &predicted.pictures {
        let path = out.join(format!("{stem}-{kind}.png"));
        write_whole(&path, png)?;
        line[*kind] = path.display().to_string().into();
    }
    for (key, value) in predicted.facts.as_object().into_iter().flatten() {
        line[key] = value.clone();
    }
    write_whole(&out.join(format!("{stem}.json")), &serde_json::to_vec_pretty(&line)?)?;
    Ok(line)
}

/// `pixels` `[H * W]` as a grey PNG file.
///
/// # Errors
/// If their number does not fit.
pub fn grey_png(height: usize, width: usize, pixels: Vec<u8>) -> Result<Vec<u8>> {
    png(GrayImage::from_raw(width as u32, height as u32, pixels).map(DynamicImage::ImageLuma8), height, width)
}

/// `rgb` `[H, W, 3]` as a PNG file.
///
/// # Errors
/// If its length does not fit.
pub fn colour_png(height: usize, width: usize, rgb: Vec<u8>) -> Result<Vec<u8>> {
    png(RgbImage::from_raw(width as u32, height as u32, rgb).map(DynamicImage::ImageRgb8), height, width)
}

fn png(picture: Option<DynamicImage>, height: usize, width: usize) -> Result<Vec<u8>> {
    let picture = picture.with_context(|| format!("other than {height}x{width} pixels"))?;
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
    Ok(bytes)
}
