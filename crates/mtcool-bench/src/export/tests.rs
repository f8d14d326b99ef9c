//! Exported networks of every kind against the program's own outputs, in other programs where these are installed.

#![allow(clippy::print_stderr, reason = "a test tells what it skips and how large the differences are")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candle_core::{D, DType, Device, Shape, Tensor};
use mtcool_core::random::{Purpose, stream, uniform};
use serde_json::{Value, json};

use super::content::Content;
use super::{onnx, pytorch};
use crate::protobuf::reading::{Field, fields};
use crate::suite::{
    AnswerForm, DatasetSpec, ExportForm, NetworkConfig, NetworkRequest, PictureForm, PrecisionSetting, Registry,
    Sharing, TaskOutput, TaskSpec, TrainedModel,
};

#[path = "../../tests/common/python.rs"]
mod python;

/// A network with weights that no training has made, and pictures for it.
struct Case {
    name: &'static str,
    kind: &'static str,
    settings: &'static str,
    sharing: Sharing,
    /// The tasks, with the number of the pictures that each reads.
    tasks: Vec<(TaskOutput, usize)>,
    /// Channels, height and width of the pictures.
    input: [usize; 3],
    /// The tasks that are exported.
    chosen: Vec<usize>,
}

const FIVE: [(TaskOutput, usize); 5] = [
    (TaskOutput::Segmentation { classes: 3 }, 0),
    (TaskOutput::Class { classes: 4 }, 0),
    (TaskOutput::Multilabel { labels: 3 }, 0),
    (TaskOutput::Regression { values: 2 }, 0),
    (TaskOutput::Segmentation { classes: 2 }, 0),
];
const MEAN: [f32; 2] = [0.3, 0.6];
const DEVIATION: [f32; 2] = [0.2, 0.1];
const SCALE: [f64; 2] = [30.0, 4.0];

fn cases() -> Vec<Case> {
    let lenet = |name, settings, sharing| Case {
        name,
        kind: "lenet",
        settings,
        sharing,
        tasks: FIVE[1..4].to_vec(),
        input: [2, 19, 22],
        chosen: vec![0, 1, 2],
    };
    let unet = |name, settings, sharing| Case {
        name,
        kind: "unet",
        settings,
        sharing,
        tasks: FIVE.to_vec(),
        input: [2, 13, 22],
        chosen: vec![0, 1, 2, 3, 4],
    };
    let elsewhere = |task: usize, picture: usize| (FIVE[task].0, picture);
    use Sharing::{Separate, Shared};
    vec![
        lenet("lenet", "widths = [6, 9, 12]\nallocation = [1, 1, 2]", Shared),
        lenet("lenet_stitched", "widths = [6, 9, 12]\nfusion = \"cross_stitch\"", Shared),
        lenet("lenet_separate", "widths = [6, 9, 12]", Separate),
        lenet("lenet_units", "widths = [4, 5, 6]\narchitecture = \"cross_stitch\"", Shared),
        lenet(
            "lenet_units_of_channels",
            "widths = [4, 5, 6]\narchitecture = \"cross_stitch\"\ncross_stitch = { per = \"channel\" }",
            Shared,
        ),
        lenet("lenet_mtan", "widths = [6, 9, 12]\narchitecture = \"mtan\"", Shared),
        lenet("lenet_mmoe", "widths = [6, 9, 12]\narchitecture = \"mmoe\"", Shared),
        lenet("lenet_cgc", "widths = [6, 9, 12]\narchitecture = \"cgc\"", Shared),
        unet("unet_units", "widths = [10, 20, 40]\narchitecture = \"cross_stitch\"", Shared),
        unet("unet_mtan", "widths = [10, 20, 40]\narchitecture = \"mtan\"", Shared),
        unet("unet", "widths = [10, 20, 40]", Shared),
        unet("unet_separate", "widths = [10, 20, 40]", Separate),
        unet("unet_normalized", "widths = [10, 20, 40]\nclassifier = \"normalized\"", Shared),
        unet("unet_normalized_separate", "widths = [10, 20, 40]\nclassifier = \"normalized\"", Separate),
        unet("unet_features", "widths = [10, 20]\nimage_heads = \"features\"", Shared),
        unet("unet_batch", "widths = [10, 20, 40]\nnorm = \"batch\"", Shared),
        unet("unet_allocation", "widths = [16, 32]\nallocation = [4, 1, 1, 1, 1]", Shared),
        Case { input: [2, 16, 8], ..unet("unet_even", "widths = [10, 20, 40]", Shared) },
        Case { chosen: vec![1], ..unet("unet_one", "widths = [10, 20, 40]\nclassifier = \"normalized\"", Shared) },
        Case {
            tasks: vec![elsewhere(0, 0), elsewhere(1, 1), elsewhere(3, 1)],
            chosen: vec![1, 2, 0],
            ..unet("unet_pictures", "widths = [12, 24]", Shared)
        },
    ]
}

impl Case {
    fn model(&self) -> TrainedModel {
        let config: NetworkConfig = toml::from_str(self.settings).unwrap();
        let task = |(index, &(output, _)): (usize, &(TaskOutput, usize))| TaskSpec::new(format!("task{index}"), output);
        let tasks: Vec<TaskSpec> = self.tasks.iter().enumerate().map(task).collect();
        let (input, precision) = (self.input, PrecisionSetting::default());
        let request =
            NetworkRequest { config: &config, input, tasks: &tasks, all_tasks: &tasks, precision, recompute: 0 };
        let registry = Registry::builtin();
        let entry = registry.network(self.kind).unwrap();
        let network = entry.network(request, self.sharing).unwrap();
        let initial = network.initial_parameters(0, DType::F32, &Device::Cpu).unwrap();
        // Norms and last layers begin with values that change nothing.
        let moved = initial.map(|name, tensor| {
            let mut generator = stream(1, Purpose::Initialization, [0; 4], &name.to_string());
            Ok((tensor + uniform(&mut generator, 0.2, tensor.shape(), DType::F32, &Device::Cpu)?)?)
        });
        TrainedModel {
            network,
            parameters: moved.unwrap(),
            side_multiple: (entry.side_multiple)(&config),
            spec: DatasetSpec { input, tasks, columns: Vec::new(), figure: None, has_test: true },
            origin: Value::Null,
            files: Value::Null,
            data_settings: Value::Null,
            seed: 0,
        }
    }

    /// All pictures have one normalisation, and the answers have the same scale.
    fn form(&self) -> ExportForm {
        let picture = PictureForm {
            description: "noise".into(),
            white: 255.0,
            mean: MEAN.into(),
            deviation: DEVIATION.into(),
            multiple: None,
        };
        let answer = |&(output, picture): &(TaskOutput, usize)| {
            let names = (0..output.channels()).map(|number| format!("name{number}"));
            AnswerForm { picture, scale: SCALE, ..AnswerForm::new(names) }
        };
        let pictures = self.tasks.iter().map(|(_, picture)| picture + 1).max().unwrap();
        ExportForm { pictures: vec![picture; pictures], answers: self.tasks.iter().map(answer).collect() }
    }

    /// Two pictures for each input, whole numbers from 0 to 255.
    fn pixels(&self) -> Vec<Tensor> {
        let shape: Shape = [[2].as_slice(), &self.input].concat().into();
        let draw = |number: usize| {
            let mut generator = stream(2, Purpose::Initialization, [number as u32, 0, 0, 0], "pixels");
            let noise = uniform(&mut generator, 127.5, &shape, DType::F32, &Device::Cpu).unwrap();
            (noise + 127.5).unwrap().round().unwrap()
        };
        (0..self.form().pictures.len()).map(draw).collect()
    }

    /// The outputs of the program's own network: the raw ones, and the answers, by their names in the files.
    fn expected(&self, model: &TrainedModel) -> [BTreeMap<String, Tensor>; 2] {
        let [_, height, width] = self.input;
        let is_lenet = self.kind == "lenet";
        let multiple = if is_lenet { 1 } else { model.side_multiple };
        let channel = |values: [f32; 2]| Tensor::new(&values, &Device::Cpu).unwrap().reshape((1, 2, 1, 1)).unwrap();
        let input = |pixels: &Tensor| {
            let x = (pixels / 255.0).unwrap().broadcast_sub(&channel(MEAN)).unwrap();
            let x = x.broadcast_div(&channel(DEVIATION)).unwrap();
            let [below, right] = [height, width].map(|side| side.next_multiple_of(multiple) - side);
            x.pad_with_zeros(2, 0, below).unwrap().pad_with_zeros(3, 0, right).unwrap()
        };
        let inputs: Vec<Tensor> = self.pixels().iter().map(input).collect();
        let (mut raw, mut answers) = (BTreeMap::new(), BTreeMap::new());
        for &task in &self.chosen {
            let (output, picture) = self.tasks[task];
            let mut y = model.network.forward(&model.parameters, task, &inputs[picture]).unwrap();
            if y.rank() == 4 {
                y = y.narrow(2, 0, height).unwrap().narrow(3, 0, width).unwrap();
            }
            let softmax = || softmax(&y).unwrap();
            let answer = match output {
                TaskOutput::Multilabel { .. } => softmax().get_on_dim(1, 1).unwrap(),
                TaskOutput::Regression { .. } => ((&y * SCALE[1]).unwrap() + SCALE[0]).unwrap(),
                _ => softmax(),
            };
            let name = format!("task{task}");
            if !output.is_numbers() {
                answers.insert(format!("{name}.logits"), y.clone());
            }
            answers.insert(name.clone(), answer);
            raw.insert(name, y);
        }
        [raw, answers]
    }

    fn content(&self) -> Content {
        let mut chosen = self.chosen.clone();
        chosen.sort_unstable();
        Content::of(self.model(), self.form(), &chosen, json!({ "checkpoint_sha256": "ab" })).unwrap()
    }

    /// Writes the pixels for `run.py`.
    fn write_pixels(&self, folder: &Path, content: &Content) {
        let drawn = self.pixels();
        let named: Vec<(&str, &Tensor)> = content
            .pictures
            .iter()
            .map(|picture| {
                let reads = |task: &&super::content::Answer| content.pictures[task.form.picture].name == picture.name;
                let task: usize = content.tasks.iter().find(reads).unwrap().name["task".len()..].parse().unwrap();
                (picture.name.as_str(), &drawn[self.tasks[task].1])
            })
            .collect();
        Tensor::write_npz(&named, folder.join(format!("{}.in.npz", self.name))).unwrap();
    }

    /// Compares what `run.py` has written. A difference counts relative to the largest output, if that is above 1.
    fn compare(&self, folder: &Path, expected: &BTreeMap<String, Tensor>, tolerance: f64) -> f64 {
        let path = folder.join(format!("{}.out.npz", self.name));
        let got: BTreeMap<String, Tensor> = Tensor::read_npz(path).unwrap().into_iter().collect();
        assert!(got.keys().eq(expected.keys()), "{}: {:?}", self.name, got.keys());
        let most = |tensor: &Tensor| {
            let most = tensor.abs().unwrap().flatten_all().unwrap().max(D::Minus1).unwrap();
            f64::from(most.to_scalar::<f32>().unwrap())
        };
        let mut largest = 0.0f64;
        for (name, want) in expected {
            let got = &got[name];
            assert_eq!(got.dims(), want.dims(), "{} {name}", self.name);
            let difference = most(&(got - want).unwrap()) / most(want).max(1.0);
            assert!(difference <= tolerance, "{} {name}: {difference:e}", self.name);
            largest = largest.max(difference);
        }
        largest
    }
}

/// The softmax over the second dimension.
fn softmax(logits: &Tensor) -> candle_core::Result<Tensor> {
    let powers = logits.broadcast_sub(&logits.max_keepdim(1)?)?.exp()?;
    powers.broadcast_div(&powers.sum_keepdim(1)?)
}

#[test]
fn onnxruntime_computes_what_the_program_computes() {
    let Some(mut command) = python::script("onnx", &["onnxruntime", "numpy"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for case in cases() {
        let content = case.content();
        std::fs::write(folder.path().join(format!("{}.onnx", case.name)), onnx::bytes(&content).unwrap()).unwrap();
        case.write_pixels(folder.path(), &content);
        expected.push(case.expected(&case.model()));
    }
    python::run(command.arg(folder.path()));
    for (case, [_, answers]) in cases().iter().zip(&expected) {
        eprintln!("{}: {:.1e}", case.name, case.compare(folder.path(), answers, 1e-4));
    }
    let facts = std::fs::read(folder.path().join("unet_one.json")).unwrap();
    let facts: BTreeMap<String, String> = serde_json::from_slice(&facts).unwrap();
    assert_eq!(facts["mtcool.checkpoint_sha256"], "ab");
    let tasks: Value = serde_json::from_str(&facts["mtcool.tasks"]).unwrap();
    assert_eq!((tasks.as_array().unwrap().len(), &tasks[0]["kind"]), (1, &json!("classification")));
    assert_eq!((&tasks[0]["name"], &tasks[0]["names"][3]), (&json!("task1"), &json!("name3")));
    let pictures: Value = serde_json::from_str(&facts["mtcool.pictures"]).unwrap();
    assert_eq!((&pictures[0]["name"], &pictures[0]["padded_to_multiples_of"]), (&json!("pixels"), &json!(4)));
}

#[test]
fn the_module_of_the_documentation_computes_what_the_program_computes() {
    let Some(mut command) = python::script("pytorch", &["torch", "safetensors", "numpy"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for case in cases() {
        let content = case.content();
        let path = folder.path().join(format!("{}.safetensors", case.name));
        std::fs::write(path, pytorch::bytes(&content).unwrap()).unwrap();
        case.write_pixels(folder.path(), &content);
        expected.push(case.expected(&case.model()));
    }
    let page = python::beside_tests("../../../docs/export.md");
    python::run(command.arg(folder.path()).arg(page));
    for (case, [raw, _]) in cases().iter().zip(&expected) {
        eprintln!("{}: {:.1e}", case.name, case.compare(folder.path(), raw, 1e-5));
    }
}

/// The text in the first field of this number.
fn text(message: &[(u32, Field)], number: u32) -> String {
    let found = message.iter().find(|(field, _)| *field == number).map(|(_, field)| field.bytes());
    String::from_utf8(found.unwrap_or_default().to_vec()).unwrap()
}

#[test]
fn a_graph_reads_nothing_that_is_not_there() {
    for case in cases() {
        let content = case.content();
        let model = fields(&onnx::bytes(&content).unwrap());
        let graph = model.iter().find(|(number, _)| *number == 7).unwrap().1.message();
        let all =
            |number: u32| graph.iter().filter(move |(field, _)| *field == number).map(|(_, field)| field.message());
        let mut known: BTreeSet<String> = BTreeSet::new();
        for (names, number) in [(5, 8), (11, 1)] {
            for value in all(names) {
                assert!(known.insert(text(&value, number)), "{}: {} twice", case.name, text(&value, number));
            }
        }
        let mut read = BTreeSet::new();
        for node in all(1) {
            for (_, input) in node.iter().filter(|(field, _)| *field == 1) {
                let input = String::from_utf8(input.bytes().to_vec()).unwrap();
                assert!(known.contains(&input), "{}: `{input}` is read before it is computed", case.name);
                read.insert(input);
            }
            assert!(known.insert(text(&node, 2)), "{}: {} twice", case.name, text(&node, 2));
        }
        for output in all(12) {
            assert!(known.contains(&text(&output, 1)), "{}: no output {}", case.name, text(&output, 1));
            read.insert(text(&output, 1));
        }
        assert_eq!(known.difference(&read).collect::<Vec<_>>(), Vec::<&String>::new(), "{}: never read", case.name);
    }
}

#[test]
fn weights_have_plain_names() {
    let names = |name: &str| -> Vec<String> {
        let case = cases().into_iter().find(|case| case.name == name).unwrap();
        case.content().weights().into_keys().collect()
    };
    let has = |names: &[String], name: &str| names.iter().any(|known| known == name);
    let unet = names("unet");
    assert!(has(&unet, "shared.enc0.conv0.weight") && has(&unet, "task4.dec0.norm1.bias"), "{unet:?}");
    let separate = names("unet_separate");
    assert!(has(&separate, "task0.enc0.conv0.weight") && has(&separate, "task3.enc1.conv1.weight"), "{separate:?}");
    let stitched = names("lenet_stitched");
    assert!(has(&stitched, "task1.conv2.stitch") && has(&stitched, "task2.out.bias"), "{stitched:?}");
    let attended = names("unet_mtan");
    assert!(
        has(&attended, "shared.pass0.conv0.weight") && has(&attended, "task3.attention1.g.norm.bias"),
        "{attended:?}"
    );
    let experts = names("lenet_cgc");
    assert!(has(&experts, "shared.expert0.bias") && has(&experts, "task1.own_expert0.weight"), "{experts:?}");
    let one = names("unet_one");
    assert!(one.iter().all(|name| !name.starts_with("task2.") && !name.starts_with("task4.")), "{one:?}");
}
