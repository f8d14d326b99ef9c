//! `mtcool predict`: predictions of a finished run for the user's own photographs.

mod known;
mod overview;
mod paint;
mod png;
mod trained;
mod written;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use mtcool_data::picture::Picture;
use serde_json::{Map, Value, json};

use crate::output::Output;
use crate::record::{read, read_data_record};
use crate::suite::{MapClass, PredictOptions, PredictedMap, Predictor, Registry, one_line};
use known::KnownPhotographs;
use paint::Overlay;
use trained::{predictor_of, read_trained};
use written::{Written, sha256};

/// The arguments of `mtcool predict`.
pub struct PredictRequest<'a> {
    /// The folder of a finished run.
    pub run: &'a Path,
    /// The folder for pictures and numbers.
    pub out: &'a Path,
    /// The photographs.
    pub images: &'a [PathBuf],
    /// Whether to write the probabilities of the classes as pictures, too.
    pub probabilities: bool,
    /// The given flags for the predictor of the run's data set.
    pub options: PredictOptions,
}

/// What is the same for all photographs.
struct Session<'a> {
    predictor: Box<dyn Predictor>,
    run: &'a Path,
    /// The kind of data that the network was trained on.
    trained_on: Value,
    known: KnownPhotographs,
    with_probabilities: bool,
}

/// The warning about every prediction of a network that was trained on drawings.
const DRAWN: &str =
    "the network was trained on drawn photographs: what it predicts for real ones has no medical meaning";

/// Executes `mtcool predict`: prints one line of JSON per photograph and writes all files into the folder.
///
/// # Errors
/// If the run cannot be used, or if a photograph failed; in the second case all other photographs are processed first.
pub fn run(registry: &Registry, request: &PredictRequest<'_>) -> Result<()> {
    let (dataset, model) = read_trained(registry, request.run)?;
    let build = predictor_of(registry, dataset)?;
    for name in request.options.keys() {
        ensure!(
            dataset.predict_options.iter().any(|option| option.name == name),
            "`--{name}` does not apply to a run on `{}`: leave it out",
            dataset.name
        );
    }
    let trained_on = if model.origin.is_null() { json!("real photographs") } else { model.origin.clone() };
    if !model.origin.is_null() {
        tracing::warn!("{DRAWN}");
    }
    let session = Session {
        predictor: build(model, &request.options).with_context(|| format!("`{}`", request.run.display()))?,
        run: request.run,
        trained_on,
        known: KnownPhotographs::of(&read_data_record(request.run)?.unwrap_or_default()),
        with_probabilities: request.probabilities,
    };
    let names = names(request.images)?;
    let mut written = Written::open(request.out)?;
    let mut output = Output::default();
    let mut failures = Vec::new();
    for (image, name) in request.images.iter().zip(names) {
        match session.predict(image, &name, &mut written) {
            Ok(line) => output.line(&line.to_string()),
            Err(error) => {
                let (place, told) = (format!("`{}`", image.display()), one_line(&error));
                failures.push(if told.contains(&place) { told } else { format!("{place}: {told}") });
            }
        }
    }
    let predicted = written.ending(".json");
    let mut table = || -> Result<()> {
        if !predicted.is_empty() {
            written.write("predictions.csv", &overview::table(&predicted)?)?;
        }
        Ok(())
    };
    let table = table();
    ensure!(
        failures.is_empty(),
        "{} of {} photographs failed: {}",
        failures.len(),
        request.images.len(),
        failures.join("\n")
    );
    table?;
    output.finish()
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

impl Session<'_> {
    /// Predicts for one image and writes the results to files whose names begin with `name`.
    fn predict(&self, image: &Path, name: &str, written: &mut Written) -> Result<Value> {
        let photograph = Picture::read_rgb(image)?;
        let [width, height] = photograph.size();
        let known = self.known.get(&sha256(&read(image)?));
        let mut notices: Vec<String> = self.predictor.warning(&photograph).into_iter().collect();
        notices.extend(known.and_then(|known| known.notice()));
        for notice in &notices {
            tracing::warn!("`{}`: {notice}", image.display());
        }
        if !self.trained_on.is_string() {
            notices.push(DRAWN.to_owned());
        }
        let predicted = self.predictor.predict(photograph)?;
        let mut line = Map::new();
        line.insert("image".into(), image.display().to_string().into());
        line.insert("run".into(), self.run.display().to_string().into());
        line.insert("trained_on".into(), self.trained_on.clone());
        line.insert("known_as".into(), json!(known.map(|known| json!({ "case": known.case, "part": known.part }))));
        line.insert("notices".into(), notices.into());
        line.insert("width".into(), width.into());
        line.insert("height".into(), height.into());
        let (mut shares, mut legends, mut planes) = (Map::new(), Map::new(), Map::new());
        for map in &predicted.maps {
            let overlay = Overlay::new(map, [height, width])?;
            let classes = overlay.classes();
            let mask = png::mask(&classes, [height, width], &map.classes)?;
            let path = written.write(&format!("{name}-{}.png", map.kind), &mask)?;
            line.insert(map.kind.to_string(), path.display().to_string().into());
            legends.insert(map.kind.to_string(), legend(map));
            shares.insert(map.kind.to_string(), shares_of(map, &classes));
            if self.with_probabilities {
                let mut files = Map::new();
                for (at, class) in map.classes.iter().enumerate() {
                    let plane = png::probabilities(&overlay.probabilities(at), [height, width])?;
                    let path = written.write(&format!("{name}-{}-{}.png", map.kind, class.name), &plane)?;
                    files.insert(class.name.to_string(), path.display().to_string().into());
                }
                planes.insert(map.kind.to_string(), files.into());
            }
        }
        for (key, value) in predicted.facts.as_object().into_iter().flatten() {
            line.insert(key.clone(), value.clone());
        }
        line.insert("shares".into(), shares.into());
        line.insert("legend".into(), legends.into());
        if self.with_probabilities {
            line.insert("probability_maps".into(), planes.into());
        }
        let line = Value::Object(line);
        written.write(&format!("{name}.json"), &serde_json::to_vec_pretty(&line)?)?;
        Ok(line)
    }
}

/// The share of each class among the pixels of `mask`, which is not empty.
fn shares_of(map: &PredictedMap, mask: &[u8]) -> Value {
    let mut counts = [0u64; 256];
    mask.iter().for_each(|&class| counts[usize::from(class)] += 1);
    let share = |(class, &count): (&MapClass, &u64)| (class.name.to_string(), json!(count as f64 / mask.len() as f64));
    Value::Object(map.classes.iter().zip(&counts).map(share).collect())
}

/// The classes of a mask: value of the pixels, name and colour.
fn legend(map: &PredictedMap) -> Value {
    let entry = |(value, class): (usize, &MapClass)| {
        let [red, green, blue] = class.colour;
        json!({
            "value": value,
            "name": class.name,
            "colour": format!("#{red:02x}{green:02x}{blue:02x}"),
        })
    };
    map.classes.iter().enumerate().map(entry).collect()
}
