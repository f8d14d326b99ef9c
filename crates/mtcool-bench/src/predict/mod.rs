//! `mtcool predict`: predictions of a finished run for the user's own photographs.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device};
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use mtcool_data::picture::Picture;
use serde_json::{Value, json};

use crate::plan::StoredConfig;
use crate::record::{create_folder, read_intact, read_model, write_whole};
use crate::suite::{DatasetEntry, NetworkRequest, PredictOptions, PredictedPicture, Predictor, Registry, TrainedModel};

/// The arguments of `mtcool predict`.
pub struct PredictRequest<'a> {
    /// The folder of a finished run.
    pub run: &'a Path,
    /// The folder for pictures and numbers.
    pub out: &'a Path,
    /// The photographs.
    pub images: &'a [PathBuf],
    /// The given flags for the predictor of the run's data set.
    pub options: PredictOptions,
}

/// Reads the model of a finished run, and looks up its data set.
fn read_trained<'a>(registry: &'a Registry, run: &Path) -> Result<(&'a DatasetEntry, TrainedModel)> {
    let path = run.join("config.toml");
    ensure!(
        path.exists(),
        "`{}` is not the folder of a run, such as `results/table2/runs/mtcool-s0-1a2b3c4d`",
        run.display()
    );
    let text = read_intact(&path)?;
    let parse = || -> Result<StoredConfig> { Ok(StoredConfig::parse(std::str::from_utf8(&text)?)?) };
    let stored = parse().with_context(|| format!("`{}` is damaged", path.display()))?;
    let file = run.join("model.safetensors");
    ensure!(file.exists(), "`{}` is not there: this run is not finished", file.display());
    let dataset = registry.dataset(&stored.dataset)?;
    let spec = (dataset.spec)(&stored.data).context("`data` in the run's config.toml")?;
    let entry = registry.network(stored.network.kind.as_deref().unwrap_or(&dataset.network))?;
    let tasks = &spec.tasks[..];
    let (config, precision) = (&stored.network, stored.precision);
    let request = NetworkRequest { config, input: spec.input, tasks, all_tasks: tasks, precision };
    let network = entry.network(request, registry.method(&stored.method)?.sharing)?;
    let template = network.initial_parameters(0, DType::F32, &Device::Cpu)?;
    let model = TrainedModel {
        parameters: read_model(&file, &template)?,
        network,
        side_multiple: (entry.side_multiple)(&stored.network),
        spec,
        origin: stored.origin,
        files: stored.files,
        data_settings: stored.data,
    };
    Ok((dataset, model))
}

/// Executes `mtcool predict`: prints one line of JSON per photograph and writes the pictures into the folder.
///
/// # Errors
/// If the run cannot be used, or if a photograph failed; in the second case all other photographs are processed first.
pub fn run(registry: &Registry, request: &PredictRequest<'_>) -> Result<()> {
    let (dataset, model) = read_trained(registry, request.run)?;
    let Some(predictor) = dataset.predictor else {
        let able = registry.datasets().iter().filter(|dataset| dataset.predictor.is_some());
        let able: Vec<&str> = able.map(|dataset| &*dataset.name).collect();
        bail!(
            "a run on `{}` cannot predict for photographs: expected a run on one of these data sets: {}",
            dataset.name,
            able.join(", ")
        );
    };
    for name in request.options.keys() {
        ensure!(
            dataset.predict_options.iter().any(|option| option.name == name),
            "`--{name}` does not apply to a run on `{}`: leave it out",
            dataset.name
        );
    }
    // Every answer states the kind of data that the network was trained on.
    let trained_on = if model.origin.is_null() { json!("real photographs") } else { model.origin.clone() };
    let predictor = predictor(model, &request.options).with_context(|| format!("`{}`", request.run.display()))?;
    let names = names(request.images)?;
    create_folder(request.out)?;
    let mut failures = Vec::new();
    for (image, name) in request.images.iter().zip(names) {
        match predict(predictor.as_ref(), image, &request.out.join(name), &trained_on) {
            Ok(line) => println!("{line}"),
            Err(error) => failures.push(format!("`{}`: {error:#}", image.display())),
        }
    }
    ensure!(failures.is_empty(), "{} of {} photographs: {}", failures.len(), request.images.len(), failures.join("\n"));
    Ok(())
}

/// The name of each image's results: the file name without the extension.
///
/// # Errors
/// If two images have the same name.
fn names(images: &[PathBuf]) -> Result<Vec<String>> {
    let mut taken: BTreeMap<String, &Path> = BTreeMap::new();
    let mut names = Vec::with_capacity(images.len());
    for image in images {
        let stem = image.file_stem().with_context(|| format!("`{}` is not a photograph", image.display()))?;
        let name = stem.to_string_lossy().into_owned();
        if let Some(other) = taken.insert(name.clone(), image) {
            bail!(
                "the results of `{}` and `{}` would both be called `{name}`: rename one of them, or process them one after the \
                 other with another `--out`",
                other.display(),
                image.display()
            );
        }
        names.push(name);
    }
    Ok(names)
}

/// Predicts for one image and writes the results to files whose names begin with `out`.
fn predict(predictor: &dyn Predictor, image: &Path, out: &Path, trained_on: &Value) -> Result<Value> {
    let photograph = Picture::read_rgb(image)?;
    let warning = predictor.warning(&photograph);
    let predicted = predictor.predict(photograph)?;
    let mut line = json!({ "image": image.display().to_string(), "trained_on": trained_on });
    if let Some(warning) = warning {
        tracing::warn!("`{}`: {warning}", image.display());
        line["warning"] = warning.into();
    }
    for (kind, picture) in predicted.pictures {
        let path = beside(out, &format!("-{kind}.png"));
        write_whole(&path, &png(picture)?)?;
        line[kind] = path.display().to_string().into();
    }
    for (key, value) in predicted.facts.as_object().into_iter().flatten() {
        line[key] = value.clone();
    }
    write_whole(&beside(out, ".json"), &serde_json::to_vec_pretty(&line)?)?;
    Ok(line)
}

/// `path` with `end` appended, also if its name contains dots.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The picture as a PNG file.
///
/// # Errors
/// If its length does not fit its size.
fn png(picture: PredictedPicture) -> Result<Vec<u8>> {
    let (height, width, picture) = match picture {
        PredictedPicture::Grey { height, width, levels } => {
            let picture = GrayImage::from_raw(width as u32, height as u32, levels);
            (height, width, picture.map(DynamicImage::ImageLuma8))
        }
        PredictedPicture::Colour { height, width, rgb } => {
            let picture = RgbImage::from_raw(width as u32, height as u32, rgb);
            (height, width, picture.map(DynamicImage::ImageRgb8))
        }
    };
    let picture = picture.with_context(|| format!("a picture of other than {height}x{width} pixels"))?;
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
    Ok(bytes)
}
