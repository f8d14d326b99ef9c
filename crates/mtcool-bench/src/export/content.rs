//! What an exported file consists of: the layers of the chosen tasks, their weights, and what a reader has to know about them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use mtcool_core::{Diagram, Layer, NodeId, ParameterName, Parameters, Weights};
use serde_json::{Value, json};

use crate::suite::{AnswerForm, ExportForm, Name, PictureForm, TaskOutput, TrainedModel};

/// The content of an exported file.
pub(super) struct Content {
    /// The layers of the chosen tasks. [`Layer::Input`] has a place in `pictures`.
    pub(super) diagram: Diagram,
    /// The pictures that the chosen tasks read.
    pub(super) pictures: Vec<Picture>,
    /// The chosen tasks.
    pub(super) tasks: Vec<Answer>,
    /// The run, for a reader of the file.
    pub(super) about: Value,
    /// The names of all tasks of the network.
    names: Vec<Name>,
    parameters: Parameters,
}

/// Pictures that go into the network.
pub(super) struct Picture {
    /// Its name in the file.
    pub(super) name: String,
    /// How pixels become the network's input.
    pub(super) form: PictureForm,
    /// C.
    pub(super) channels: usize,
    /// Height and width if the network takes no others.
    pub(super) size: Option<[usize; 2]>,
    /// The network needs sides that are multiples of this number, up to which pictures are padded.
    pub(super) multiple: usize,
}

/// A task's answer.
pub(super) struct Answer {
    /// The task's name.
    pub(super) name: Name,
    /// Kind and size of the output.
    pub(super) output: TaskOutput,
    /// The last layer of the task.
    pub(super) node: NodeId,
    /// The meaning of the output.
    pub(super) form: AnswerForm,
}

/// The values of a layer's weights.
pub(super) struct Numbers {
    /// Their name, unique in the file.
    pub(super) name: String,
    /// Their shape.
    pub(super) shape: Vec<usize>,
    /// The values in row-major order.
    pub(super) values: Vec<f32>,
}

impl Content {
    /// The content for `tasks`, ascending, of a trained network whose data set gives it `form`.
    ///
    /// # Errors
    /// If the network does not describe its layers, or `form` does not fit its tasks.
    pub(super) fn of(model: TrainedModel, form: ExportForm, tasks: &[usize], about: Value) -> Result<Self> {
        let ExportForm { pictures, answers } = form;
        let count = model.spec.tasks.len();
        let fits = answers.len() == count && answers.iter().all(|answer| answer.picture < pictures.len());
        ensure!(fits, "its data set describes {} answers for {count} tasks", answers.len());
        let names: Vec<Name> = model.spec.tasks.iter().map(|task| task.name.clone()).collect();
        // The pictures that a chosen task reads, each with the first such task.
        let mut used: Vec<(usize, usize)> = Vec::new();
        let (mut diagram, mut chosen) = (Diagram::default(), Vec::with_capacity(tasks.len()));
        for &task in tasks {
            let picture = answers[task].picture;
            let place = used.iter().position(|(known, _)| *known == picture).unwrap_or_else(|| {
                used.push((picture, task));
                used.len() - 1
            });
            let input = diagram.add(Layer::Input(place), &[]);
            let node = model.network.describe(task, input, &mut diagram);
            let node = node.with_context(|| format!("task `{}`", names[task]))?;
            let form = AnswerForm { picture: place, ..answers[task].clone() };
            chosen.push(Answer { name: names[task].clone(), output: model.spec.tasks[task].output, node, form });
        }
        let [channels, height, width] = model.spec.input;
        let is_fixed = diagram.nodes().iter().any(|node| node.layer == Layer::Flatten);
        let picture = |&(picture, task): &(usize, usize)| {
            let form: &PictureForm = &pictures[picture];
            Picture {
                name: if used.len() == 1 { "pixels".into() } else { format!("pixels.{}", names[task]) },
                channels,
                size: is_fixed.then_some([height, width]),
                multiple: if is_fixed { 1 } else { form.multiple.unwrap_or(model.side_multiple) },
                form: form.clone(),
            }
        };
        let pictures = used.iter().map(picture).collect();
        let content = Self { diagram, pictures, tasks: chosen, about, names, parameters: model.parameters };
        content.check_names()?;
        Ok(content)
    }

    /// The name of weights in files: that of the layer and its role, behind the name of the task that owns them, or behind
    /// `shared` if several tasks own parts of them.
    pub(super) fn name(&self, weights: &Weights) -> String {
        let (name, is_shared) = match weights {
            Weights::Constant { name, .. } => (Some(name), false),
            Weights::Parameters(names) => (names.first(), names.len() > 1),
        };
        let Some(name) = name else { return String::new() };
        match self.names.get(name.task) {
            Some(task) if !is_shared => format!("{task}.{}", name.layer),
            _ => format!("shared.{}", name.layer),
        }
    }

    /// The weights as one tensor of f32 in the memory of the processor.
    ///
    /// # Errors
    /// If a parameter is missing or parts do not fit together.
    pub(super) fn tensor(&self, weights: &Weights) -> Result<Tensor> {
        let tensor = match weights {
            Weights::Constant { shape, values, .. } => Tensor::from_vec(values.clone(), shape.clone(), &Device::Cpu)?,
            Weights::Parameters(names) => {
                let part = |name: &ParameterName| {
                    self.parameters.get(name).with_context(|| format!("there is no parameter `{name}`"))
                };
                Tensor::cat(&names.iter().map(part).collect::<Result<Vec<_>>>()?, 0)?
            }
        };
        Ok(tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?)
    }

    /// Name, shape and values of the weights.
    ///
    /// # Errors
    /// As for [`Content::tensor`].
    pub(super) fn numbers(&self, weights: &Weights) -> Result<Numbers> {
        let tensor = self.tensor(weights)?;
        let (shape, values) = (tensor.dims().to_vec(), tensor.flatten_all()?.to_vec1()?);
        Ok(Numbers { name: self.name(weights), shape, values })
    }

    /// All weights, each once, by name.
    pub(super) fn weights(&self) -> BTreeMap<String, &Weights> {
        let all = self.diagram.nodes().iter().flat_map(|node| node.layer.weights());
        all.map(|weights| (self.name(weights), weights)).collect()
    }

    fn check_names(&self) -> Result<()> {
        let known = self.weights();
        for weights in self.diagram.nodes().iter().flat_map(|node| node.layer.weights()) {
            let name = self.name(weights);
            if known.get(&name).is_none_or(|known| *known != weights) {
                bail!(
                    "two layers have weights that would be called `{name}`: the network has to give them other names"
                );
            }
        }
        Ok(())
    }

    /// The pictures as JSON.
    pub(super) fn pictures_json(&self) -> Value {
        let of = |picture: &Picture| {
            let PictureForm { description, white, mean, deviation, .. } = &picture.form;
            json!({
                "name": picture.name,
                "description": description,
                "channels": picture.channels,
                "size": picture.size,
                "white": white,
                "mean": mean,
                "deviation": deviation,
                "padded_to_multiples_of": picture.multiple,
            })
        };
        self.pictures.iter().map(of).collect()
    }

    /// The tasks as JSON.
    pub(super) fn tasks_json(&self) -> Value {
        let of = |Answer { name, output, form, .. }: &Answer| {
            json!({
                "name": name,
                "kind": kind(*output),
                "picture": self.pictures[form.picture].name,
                "names": form.names,
                "mean": form.scale[0],
                "deviation": form.scale[1],
                "unit": form.unit,
            })
        };
        self.tasks.iter().map(of).collect()
    }

    /// The tasks and the number of weights, for a person.
    pub(super) fn summary(&self) -> String {
        let names: Vec<&str> = self.tasks.iter().map(|task| &*task.name).collect();
        let is_parameter = |weights: &&Weights| matches!(weights, Weights::Parameters(_));
        let parameters = self.weights().into_values().filter(is_parameter).map(|weights| self.count(weights));
        format!("{} with {} parameters", names.join(", "), parameters.sum::<usize>())
    }

    fn count(&self, weights: &Weights) -> usize {
        match weights {
            Weights::Constant { values, .. } => values.len(),
            Weights::Parameters(names) => {
                names.iter().filter_map(|name| self.parameters.get(name)).map(Tensor::elem_count).sum()
            }
        }
    }
}

/// The kind of a task in files.
fn kind(output: TaskOutput) -> &'static str {
    match output {
        TaskOutput::Class { .. } => "classification",
        TaskOutput::Segmentation { .. } => "segmentation",
        TaskOutput::Multilabel { .. } => "multilabel",
        TaskOutput::Regression { .. } => "regression",
    }
}
