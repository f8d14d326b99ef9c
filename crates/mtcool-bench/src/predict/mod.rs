//! `mtcool predict`: predictions of a finished run for the user's own photographs.

mod ensemble;
mod known;
mod overview;
mod paint;
mod png;
mod runs;
mod trained;
mod written;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use mtcool_data::picture::{exif_orientation, pictures_in};
use serde_json::{Map, Value, json};

use crate::output::Output;
use crate::record::read;
use crate::suite::{MapClass, PredictOptions, PredictedMap, Registry, one_line};
use ensemble::Ensemble;
use paint::Overlay;
use written::{Written, sha256};

pub(crate) use runs::{FoundRuns, find_runs};
pub(crate) use trained::{no_hook, read_trained};

/// The arguments of `mtcool predict`.
pub struct PredictRequest<'a> {
    /// The folders of finished runs, which predict together. `*` in the last part of a path stands for any text.
    pub runs: &'a [PathBuf],
    /// The folder for pictures and numbers.
    pub out: &'a Path,
    /// The photographs, or folders of them.
    pub images: &'a [PathBuf],
    /// Whether to write the probabilities of the classes as pictures, too.
    pub probabilities: bool,
    /// The given flags for the predictor of the runs' data set.
    pub options: PredictOptions,
}

/// What is the same for all photographs.
struct Session {
    ensemble: Ensemble,
    with_probabilities: bool,
    /// What is to be told of the runs with every prediction.
    notices: Vec<String>,
}

/// The warning about every prediction of a network that was trained on drawings.
const DRAWN: &str =
    "the network was trained on drawn photographs: what it predicts for real ones has no medical meaning";

/// Executes `mtcool predict`: prints one line of JSON per photograph and writes all files into the folder.
///
/// # Errors
/// If a run cannot be used, or if a photograph failed; in the second case all other photographs are processed first.
pub fn run(registry: &Registry, request: &PredictRequest<'_>) -> Result<()> {
    let FoundRuns { folders, notices } = find_runs(request.runs)?;
    for notice in &notices {
        tracing::warn!("{notice}");
    }
    let ensemble = Ensemble::open(registry, &folders, &request.options)?;
    if ensemble.is_drawn() {
        tracing::warn!("{DRAWN}");
    }
    let session = Session { ensemble, with_probabilities: request.probabilities, notices };
    let images = photographs(request.images)?;
    let names = names(&images)?;
    let mut written = Written::open(request.out)?;
    let mut output = Output::default();
    let mut failures = Vec::new();
    for (image, name) in images.iter().zip(names) {
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
    ensure!(failures.is_empty(), "{} of {} photographs failed: {}", failures.len(), images.len(), failures.join("\n"));
    table?;
    output.finish()
}

/// The `given` photographs, and the pictures in those that are folders.
///
/// # Errors
/// If a folder is that of a run, or has no pictures.
fn photographs(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut images = Vec::with_capacity(given.len());
    for image in given {
        if !image.is_dir() {
            images.push(image.clone());
            continue;
        }
        if image.join("config.toml").is_file() {
            bail!(
                "`{}` is the folder of a run and no photograph: name each run with a `--run` of its own, or all of them with a \
                 pattern in quotes, such as `--run 'results/own/runs/joint-*'`",
                image.display()
            );
        }
        let pictures = pictures_in(image)?;
        ensure!(
            !pictures.is_empty(),
            "`{}` is a folder without pictures (PNG, JPEG, TIFF, BMP): name the folder that holds them itself",
            image.display()
        );
        images.extend(pictures);
    }
    Ok(images)
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

impl Session {
    /// Predicts for one image and writes the results to files whose names begin with `name`.
    fn predict(&self, image: &Path, name: &str, written: &mut Written) -> Result<Value> {
        let bytes = read(image)?;
        let known = self.ensemble.known(&sha256(&bytes));
        let mut notices: Vec<String> = known.and_then(|known| known.notice()).into_iter().collect();
        let orientation = exif_orientation(&bytes);
        if orientation != 1 {
            notices.push(format!(
                "turned as its file says (EXIF orientation {orientation}): sizes, places and masks are those of the turned photograph"
            ));
        }
        for notice in &notices {
            tracing::warn!("`{}`: {notice}", image.display());
        }
        let mut warn = |warning: String| {
            if !notices.contains(&warning) {
                tracing::warn!("`{}`: {warning}", image.display());
                notices.push(warning);
            }
        };
        let predicted = self.ensemble.predict(image, &mut warn)?;
        if self.ensemble.is_drawn() {
            notices.push(DRAWN.to_owned());
        }
        notices.extend(self.notices.iter().cloned());
        let [height, width] = predicted.size;
        let mut line = Map::new();
        line.insert("image".into(), image.display().to_string().into());
        line.insert("run".into(), self.ensemble.runs());
        line.insert("trained_on".into(), self.ensemble.trained_on());
        line.insert("known_as".into(), json!(known.map(|known| json!({ "case": known.case, "part": known.part }))));
        line.insert("notices".into(), notices.into());
        line.insert("width".into(), width.into());
        line.insert("height".into(), height.into());
        let (mut shares, mut legends, mut planes) = (Map::new(), Map::new(), Map::new());
        for maps in predicted.maps() {
            let (overlay, map) = (Overlay::new(&maps, [height, width])?, maps[0]);
            let classes = overlay.classes();
            let path =
                written.write(&format!("{name}-{}.png", map.kind), &png::mask(&classes, [height, width], map)?)?;
            line.insert(map.kind.to_string(), path.display().to_string().into());
            legends.insert(map.kind.to_string(), legend(map));
            shares.insert(map.kind.to_string(), shares_of(map, &classes));
            if self.with_probabilities {
                let mut files = Map::new();
                for (at, class) in map.classes.iter().enumerate() {
                    let plane = png::probabilities(&overlay.probabilities(at), [height, width])?;
                    let path =
                        written.write(&format!("{name}-{}-{}.png", map.kind, file_part(&class.name, at)), &plane)?;
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

/// The name of class number `at` as a part of a file's name.
fn file_part(name: &str, at: usize) -> String {
    let usual = |letter: char| if letter.is_alphanumeric() || "._- ".contains(letter) { letter } else { '_' };
    let part: String = name.chars().map(usual).collect();
    // Two names may differ in unusual letters alone.
    if part == name { part } else { format!("{part}-{at}") }
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
    let entry = |(value, class): (u8, &MapClass)| {
        let [red, green, blue] = class.colour;
        json!({
            "value": value,
            "name": class.name,
            "colour": format!("#{red:02x}{green:02x}{blue:02x}"),
        })
    };
    map.values().into_iter().zip(&map.classes).map(entry).collect()
}
