//! Predictions for the user's own pictures: the map, the probabilities or the number of every task.

use std::path::Path;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Tensor};
use mtcool_core::{Network, Parameters};
use mtcool_data::folder::{Fit, FolderConfig, FolderTask, MaskValue, TaskKind, TrainingStatistics, network_input};
use mtcool_ops::pooled_softmax;
use serde_json::{Map, Value, json};

use super::batches::Group;
use super::evaluate::Answers;
use super::files::FolderFiles;
use super::forward::forward;
use super::spec::{COLOURS, config};
use super::tiles::{tiled, tiling};
use crate::suite::{
    Colour, MapClass, MapPlace, PredictOption, PredictOptions, Predicted, PredictedMap, Predictor, TrainedModel,
};

/// The flag of `mtcool predict` for runs on folders.
pub(super) const OPTIONS: [PredictOption; 1] = [PredictOption {
    name: "tasks",
    value_name: Some("TASK,TASK"),
    help: "Only these tasks. Necessary if tasks have pictures of their own: the tasks to which the given pictures belong",
}];

/// How far the mean of a picture lies from that of the training pictures before it is told, in standard deviations of their pixels.
const UNUSUAL: f32 = 3.0;
/// The probability from which a property counts as present.
const PRESENT: f64 = 0.5;

pub(super) struct FolderPredictor {
    config: FolderConfig,
    tasks: Vec<FolderTask>,
    /// The tasks that are predicted, those with the same pictures together.
    groups: Vec<Group>,
    /// By which pictures are standardised.
    statistics: TrainingStatistics,
    network: Box<dyn Network>,
    parameters: Parameters,
}

impl FolderPredictor {
    pub(super) fn new(model: TrainedModel, options: &PredictOptions) -> Result<Self> {
        let config = config(&model.data_settings)?;
        let statistics = FolderFiles::statistics(&model.files, model.seed, config.tasks.len())?;
        let tasks = FolderTask::trained(&config, &statistics);
        let asked = asked(&config, options.get("tasks").map(String::as_str))?;
        let groups = Group::of_tasks(&tasks, &asked);
        let (files, first) = (config.picture_files(), asked.first().copied().unwrap_or(0));
        if let Some(second) = asked.iter().find(|&&task| files[task] != files[first]) {
            let name = |task: usize| &config.tasks[task].name;
            bail!(
                "the tasks of this run have pictures of their own, those of `{}` are others than those of `{}`: name the tasks to \
                 which the given pictures belong, such as `--tasks {}`",
                name(first),
                name(*second),
                name(first)
            );
        }
        let TrainedModel { network, parameters, .. } = model;
        Ok(Self { config, tasks, groups, statistics, network, parameters })
    }

    /// The map of `task` for the output `[1, K, H, W]`, in a picture of `size`, height and width.
    fn map(&self, task: usize, output: &Tensor, [height, width]: [usize; 2]) -> Result<PredictedMap> {
        let (_, _, rows, columns) = output.dims4()?;
        let probabilities = pooled_softmax(&output.to_dtype(DType::F32)?, 1)?.flatten_all()?.to_vec1()?;
        let place = match self.config.fit {
            Fit::Resize | Fit::Patches => {
                MapPlace::Whole { scale: [height as f64 / rows as f64, width as f64 / columns as f64] }
            }
            Fit::Crop => {
                let [scaled_height, scaled_width] = self.config.scaled([height, width]);
                let scale = [height as f64 / scaled_height as f64, width as f64 / scaled_width as f64];
                let corner = [corner(scaled_height, rows), corner(scaled_width, columns)];
                let corner = [0, 1].map(|side: usize| (corner[side] as f64 * scale[side]).round() as i64);
                MapPlace::Part { corner, scale }
            }
        };
        let FolderTask { name, kind, outputs, .. } = &self.tasks[task];
        let classes = classes(kind, outputs);
        Ok(PredictedMap { kind: name.clone().into(), classes, size: [rows, columns], probabilities, place })
    }
}

/// A warning if a picture is far from the brightness of the training pictures; `means` are those of its standardised channels.
fn brightness(means: &[f32]) -> Option<String> {
    let unusual = means.iter().find(|mean| mean.abs() > UNUSUAL)?;
    let direction = if *unusual < 0.0 { "darker" } else { "brighter" };
    Some(format!(
        "much {direction} than the pictures that the run was trained on: the prediction may be wrong. Does the file have another range of \
         values, such as 12 bits in a file of 16 bits?"
    ))
}

/// Where the middle `kept` pixels of a side of `length` pixels begin; negative if the side is shorter.
fn corner(length: usize, kept: usize) -> i64 {
    let half = |larger: usize, smaller: usize| (larger.saturating_sub(smaller) / 2) as i64;
    half(length, kept) - half(kept, length)
}

/// The tasks that `--tasks` names, or all.
fn asked(config: &FolderConfig, given: Option<&str>) -> Result<Vec<usize>> {
    let names: Vec<&str> = config.tasks.iter().map(|task| task.name.as_str()).collect();
    let Some(given) = given else { return Ok((0..names.len()).collect()) };
    let index = |name: &str| {
        let found = names.iter().position(|known| *known == name.trim());
        found.with_context(|| format!("`--tasks` names `{name}`: the run's tasks are {}", names.join(", ")))
    };
    let mut tasks = given.split(',').map(index).collect::<Result<Vec<_>>>()?;
    tasks.sort_unstable();
    tasks.dedup();
    Ok(tasks)
}

/// The classes of a segmentation. Their values in the mask are those of the training masks, and so are their colours; where these
/// are grey values, classes have usual colours, and where they are colours or need 16 bits, the values are the classes' numbers.
fn classes(kind: &TaskKind, outputs: &[String]) -> Vec<MapClass> {
    let TaskKind::Segmentation { classes, .. } = kind else { return Vec::new() };
    // Of several values of one class, the smallest.
    let value = |name: &String| classes.iter().find(|(_, class)| *class == name).map(|(value, _)| *value);
    let values: Vec<Option<MaskValue>> = outputs.iter().map(value).collect();
    let grey = |value: &Option<MaskValue>| match value {
        Some(MaskValue::Grey(value)) => u8::try_from(*value).ok(),
        _ => None,
    };
    let greys: Option<Vec<u8>> = values.iter().map(grey).collect();
    let class = |(number, name): (usize, &String)| match &greys {
        Some(greys) => MapClass::new(name.clone(), usual_colour(number)).with_value(greys[number]),
        None => {
            let colour = match values[number] {
                Some(MaskValue::Color(colour)) => colour,
                Some(MaskValue::Grey(value)) if value <= u8::MAX.into() => [value as u8; 3],
                _ => usual_colour(number),
            };
            MapClass::new(name.clone(), colour)
        }
    };
    outputs.iter().enumerate().map(class).collect()
}

fn usual_colour(class: usize) -> Colour {
    match class.checked_sub(1) {
        None => [0; 3],
        Some(index) => COLOURS[index % COLOURS.len()],
    }
}

impl Predictor for FolderPredictor {
    fn predict(&self, file: &Path, warn: &mut dyn FnMut(String)) -> Result<Predicted> {
        let mut predicted = Predicted { size: [0; 2], maps: Vec::new(), facts: Value::Null };
        let (mut probabilities, mut values, mut units) = (Map::new(), Map::new(), Map::new());
        for group in &self.groups {
            let normalization = &self.statistics.normalization[group.tasks[0]];
            let fit = self.tasks[group.tasks[0]].fit;
            let (input, picture) = network_input(file, &self.config.with_fit(fit), normalization)?;
            predicted.size = [picture.height, picture.width];
            if let Some(warning) = brightness(&input.mean((0, 2, 3))?.to_vec1()?) {
                warn(warning);
            }
            let (network, parameters) = (self.network.as_ref(), &self.parameters);
            let outputs = match fit {
                Fit::Patches => tiled(network, parameters, &group.tasks, (&input, tiling(&self.config)))?,
                Fit::Resize | Fit::Crop => forward(network, parameters, &group.tasks, &input)?,
            };
            for (&task, output) in group.tasks.iter().zip(&outputs) {
                let FolderTask { name, kind, outputs, .. } = &self.tasks[task];
                if matches!(kind, TaskKind::Segmentation { .. }) {
                    predicted.maps.push(self.map(task, output, predicted.size)?);
                    continue;
                }
                match Answers::of(&self.tasks[task], output)? {
                    Answers::Probabilities(all) => {
                        let named = outputs.iter().cloned().zip(all[0].iter().map(|probability| json!(probability)));
                        probabilities.insert(name.clone(), Value::Object(named.collect()));
                    }
                    Answers::Numbers(all) => {
                        values.insert(name.clone(), json!(all[0]));
                        if let TaskKind::Regression { unit: Some(unit), .. } = kind {
                            units.insert(name.clone(), json!(unit));
                        }
                    }
                    Answers::Map { .. } => bail!("task `{name}` has a map"),
                }
            }
        }
        let facts = [("probabilities", probabilities), ("values", values), ("units", units)];
        let facts = facts.into_iter().filter(|(_, all)| !all.is_empty());
        predicted.facts = Value::Object(facts.map(|(key, all)| (key.to_owned(), all.into())).collect());
        Ok(predicted)
    }

    /// The most probable class of each classification, and the properties that are present.
    fn conclusions(&self, facts: &Value) -> Value {
        let mut concluded = Map::new();
        for FolderTask { name, kind, outputs, .. } in &self.tasks {
            let probability = |class: &String| facts["probabilities"][name.as_str()][class.as_str()].as_f64();
            let known = || outputs.iter().filter_map(|class| Some((class, probability(class)?)));
            if known().next().is_none() {
                continue;
            }
            let answer = match kind {
                TaskKind::Multilabel { .. } => {
                    let present = known().filter(|(_, probability)| *probability >= PRESENT);
                    present.map(|(class, _)| json!(class)).collect()
                }
                // Of equally probable classes, the first.
                _ => json!(
                    known().reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(class, _)| class)
                ),
            };
            concluded.insert(name.clone(), answer);
        }
        if concluded.is_empty() { json!({}) } else { json!({ "classes": concluded }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_another_range_of_values_are_told() {
        assert_eq!(brightness(&[0.5, -2.9, 2.9]), None);
        assert!(brightness(&[0.0, -6.0, 0.0]).unwrap().contains("much darker"));
        assert!(brightness(&[4.0]).unwrap().contains("much brighter"));
    }

    fn segmentation(classes: &str) -> Vec<(String, Colour, Option<u8>)> {
        let text = format!("kind = \"segmentation\"\nmask = \"{{case}}.png\"\nclasses = {classes}");
        let kind: TaskKind = toml::from_str(&text).unwrap();
        let class = |class: MapClass| (class.name.to_string(), class.colour, class.value);
        super::classes(&kind, &kind.outputs()).into_iter().map(class).collect()
    }

    #[test]
    fn masks_have_the_values_or_the_colours_of_the_training_masks() {
        let named = |name: &str, colour, value| (name.to_owned(), colour, value);
        let grey = segmentation("{ 7 = \"cup\", 255 = \"background\", 9 = \"cup\" }");
        assert_eq!(grey, [named("background", [0; 3], Some(255)), named("cup", COLOURS[0], Some(7))]);
        let coloured = segmentation("{ 0 = \"background\", \"#ff0000\" = \"artery\" }");
        assert_eq!(coloured, [named("background", [0; 3], None), named("artery", [255, 0, 0], None)]);
        let deep = segmentation("{ 0 = \"background\", 3000 = \"organ\" }");
        assert_eq!(deep, [named("background", [0; 3], None), named("organ", COLOURS[0], None)]);
    }

    #[test]
    fn a_crop_lies_in_the_middle() {
        assert_eq!([corner(9, 4), corner(4, 9), corner(5, 5)], [2, -2, 0]);
    }
}
