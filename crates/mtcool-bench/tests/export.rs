//! `mtcool export`: the files of finished runs, and the same predictions by onnxruntime where it is installed.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
#[path = "common/python.rs"]
mod python;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use common::cells::{CELL, Experiment, PRESENT, RATIO, STAGE};
use common::{HRF_AV, Lab, REFUGE, fail, find_run, succeed};
use mtcool_bench::record::read_predictions;
use mtcool_data::folder::{FolderSynthesis, synthesize};
use mtcool_data::mnist::{PIXEL_MEAN, PIXEL_STD};
use mtcool_data::{Dataset, Mnist};
use serde_json::Value;

/// The outputs of onnxruntime for the file `name` in `folder`.
fn outputs(folder: &Path, name: &str) -> BTreeMap<String, Tensor> {
    Tensor::read_npz(folder.join(format!("{name}.out.npz"))).unwrap().into_iter().collect()
}

/// Red, green and blue of a picture as `[1, 3, H, W]`, 0 to 255.
fn pixels(picture: &image::RgbImage) -> Tensor {
    let (width, height) = picture.dimensions();
    let values: Vec<f32> = picture.as_raw().iter().map(|&byte| f32::from(byte)).collect();
    let shape = (1, height as usize, width as usize, 3);
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap().permute((0, 3, 1, 2)).unwrap().contiguous().unwrap()
}

#[test]
fn digits_get_the_classes_of_the_run_for_every_kind_of_method() {
    let lab = Lab::new();
    succeed(&mut lab.reproduce("results", &["--methods", "independent,joint,mtcool"]));
    let folder = lab.path().join("exported");
    let test = Mnist::read(&lab.data()).unwrap().test;
    let methods = ["independent", "joint", "mtcool"];
    for method in methods {
        let run = lab.run_folder("results", &format!("{method}-s0"));
        for (task, digits) in ["even", "odd"].into_iter().zip(&test) {
            let name = format!("{method}_{task}");
            let file = format!("exported/{name}.onnx");
            let said = succeed(lab.mtcool(&["export", "--run"]).arg(&run).args([&file, "--task", task]));
            assert!(said.contains(&file) && said.contains(&format!("ONNX, {task} with ")), "{said}");
            let inputs = digits.read(&(0..digits.len() as u32).collect::<Vec<_>>()).unwrap().inputs;
            let bytes = (((inputs * PIXEL_STD).unwrap() + PIXEL_MEAN).unwrap() * 255.0).unwrap().round().unwrap();
            Tensor::write_npz(&[("pixels", bytes)], folder.join(format!("{name}.in.npz"))).unwrap();
        }
    }
    let Some(mut command) = python::script("onnx", &["onnxruntime", "numpy"]) else { return };
    python::run(command.arg(&folder));
    for method in methods {
        let run = lab.run_folder("results", &format!("{method}-s0"));
        for task in ["even", "odd"] {
            let predictions = read_predictions(&run.join("predictions.parquet"), task).unwrap();
            let probabilities = &outputs(&folder, &format!("{method}_{task}"))[task];
            assert_eq!(probabilities.dims(), [predictions.len(), 5]);
            let classes = probabilities.argmax(1).unwrap().to_vec1::<u32>().unwrap();
            assert!(predictions.iter().map(|prediction| prediction.predicted).eq(classes), "{method} {task}");
        }
    }
}

#[test]
fn pictures_get_the_predictions_of_the_program() {
    let lab = Lab::new();
    synthesize(&lab.path().join("cells-data"), FolderSynthesis { cases: 36, side: 45, seed: 4 }).unwrap();
    let experiment = Experiment {
        method: "mtcool",
        network: "widths = [8, 16]\nclassifier = \"normalized\"",
        further: "",
        settings: "group = \"patient\"\nsize = [38, 54]\nfit = \"crop\"",
        tasks: &[CELL, STAGE, PRESENT, &format!("{RATIO}unit = \"share\"\n")],
    };
    std::fs::write(lab.path().join("own.toml"), experiment.text()).unwrap();
    succeed(&mut lab.mtcool(&["reproduce", "own.toml"]));
    let run = find_run(&lab.path().join("results/own"), "mtcool-s0");
    let folder = lab.path().join("exported");
    let mut wanted = Vec::new();
    for (name, case) in [("first", "cell_00000"), ("second", "cell_00001")] {
        let picture = image::open(lab.path().join(format!("cells-data/images/{case}.png"))).unwrap().to_rgb8();
        let picture = image::imageops::resize(&picture, 54, 38, image::imageops::FilterType::Triangle);
        let file = format!("{name}.png");
        picture.save(lab.path().join(&file)).unwrap();
        succeed(lab.mtcool(&["export", "--run"]).arg(&run).arg(format!("exported/{name}.onnx")));
        Tensor::write_npz(&[("pixels", pixels(&picture))], folder.join(format!("{name}.in.npz"))).unwrap();
        let printed = succeed(lab.mtcool(&["predict", "--probabilities", "--run"]).arg(&run).arg(&file));
        wanted.push((name, serde_json::from_str::<Value>(printed.trim()).unwrap()));
    }
    let Some(mut command) = python::script("onnx", &["onnxruntime", "numpy"]) else { return };
    python::run(command.arg(&folder));
    let mut largest = 0.0f64;
    for (name, predicted) in wanted {
        let outputs = outputs(&folder, name);
        let mut close = |got: f64, want: f64, what: &str| {
            assert!((got - want).abs() <= 1e-4, "{name} {what}: {got}, expected {want}");
            largest = largest.max((got - want).abs());
        };
        let number = |task: &str, place: usize| {
            let values = outputs[task].to_dtype(DType::F64).unwrap().flatten_all().unwrap();
            values.to_vec1::<f64>().unwrap()[place]
        };
        for (at, class) in ["background", "cytoplasm", "nucleus"].into_iter().enumerate() {
            let file = predicted["probability_maps"]["cell"][class].as_str().unwrap();
            let map = image::open(lab.path().join(file)).unwrap().into_luma16();
            let got = outputs["cell"].get(0).unwrap().get(at).unwrap();
            assert_eq!(got.dims(), [map.height() as usize, map.width() as usize]);
            let got = got.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (got, want) in got.into_iter().zip(map.into_raw()) {
                close(got.into(), f64::from(want) / 65535.0, class);
            }
        }
        let of_classes = [
            ("stage", ["resting", "growing", "dividing"].as_slice()),
            ("present", ["red_granules", "blue_granules"].as_slice()),
        ];
        for (task, classes) in of_classes {
            for (at, class) in classes.iter().enumerate() {
                close(number(task, at), predicted["probabilities"][task][*class].as_f64().unwrap(), class);
            }
        }
        close(number("ratio", 0), predicted["values"]["ratio"].as_f64().unwrap(), "ratio");
    }
    eprintln!("largest difference: {largest:.1e}");
    let facts = std::fs::read(folder.join("first.json")).unwrap();
    let facts: BTreeMap<String, String> = serde_json::from_slice(&facts).unwrap();
    let tasks: Value = serde_json::from_str(&facts["mtcool.tasks"]).unwrap();
    assert_eq!(tasks[0]["names"], serde_json::json!(["background", "cytoplasm", "nucleus"]));
    assert_eq!((&tasks[3]["unit"], &tasks[3]["kind"]), (&Value::from("share"), &Value::from("regression")));
    let about: Value = serde_json::from_str(&facts["mtcool.run"]).unwrap();
    assert_eq!((&about["method"], &about["dataset"]), (&Value::from("mtcool"), &Value::from("folder")));
}

#[test]
fn runs_on_photographs_are_exported_for_both_programs() {
    let lab = Lab::new();
    let folder = lab.path().join("exported");
    let tables = [("table2", &REFUGE[..], ["segmentation", "glaucoma"]), ("table3", &HRF_AV[..], ["binary", "av"])];
    for (table, arguments, _) in tables {
        succeed(lab.mtcool(arguments).env("MTCOOL_TRAINING__EPOCHS", "1").args(["--methods", "joint", "--seeds", "1"]));
        let run = find_run(&lab.path().join("results").join(table), "joint-s0");
        let files = [format!("exported/{table}.onnx"), format!("exported/{table}.safetensors")];
        let export = || {
            let mut command = lab.mtcool(&["export", "--run"]);
            command.arg(&run).args([&files[0], "--pytorch", &files[1]]);
            command
        };
        let said = succeed(&mut export());
        assert!(files.iter().all(|file| said.contains(file)), "{said}");
        // The same bytes for the same run.
        let [first, second] = files.each_ref().map(|file| std::fs::read(lab.path().join(file)).unwrap());
        fail(&mut export(), &[&files[0], "is there already", "`--force`"]);
        succeed(export().arg("--force"));
        assert!(first == std::fs::read(lab.path().join(&files[0])).unwrap());
        assert!(second == std::fs::read(lab.path().join(&files[1])).unwrap());
        fail(
            lab.mtcool(&["export", "--run"]).arg(&run).args(["exported/none.onnx", "--task", "vessels"]),
            &["`--task` names `vessels`"],
        );
        assert!(!folder.join("none.onnx").exists());
        let noise = Tensor::full(100.0f32, (2, 3, 30, 41), &Device::Cpu).unwrap();
        Tensor::write_npz(&[("pixels", noise)], folder.join(format!("{table}.in.npz"))).unwrap();
    }
    fail(&mut lab.mtcool(&["export", "--run", "results/table2", "x.onnx"]), &["holds a finished run"]);
    fail(&mut lab.mtcool(&["export", "--run", "results/table2/runs/*"]), &["FILE.onnx"]);
    let Some(mut command) = python::script("onnx", &["onnxruntime", "numpy"]) else { return };
    python::run(command.arg(&folder));
    for (table, _, [first, second]) in tables {
        let outputs = outputs(&folder, table);
        assert_eq!(outputs[first].dims()[2..], [30, 41]);
        let probabilities = outputs[second].sum(1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(probabilities.iter().all(|sum| (sum - 1.0).abs() < 1e-5), "{table}");
    }
}
