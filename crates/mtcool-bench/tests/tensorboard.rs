//! Event files for TensorBoard: the same numbers as `metrics.parquet`, each once, also if a run was killed on its way.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
#[path = "common/python.rs"]
mod python;

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use common::{Lab, REFUGE, fail, find_run, succeed};
use mtcool_bench::record::read_rows;
use serde_json::Value;

const LOG: &str = "log=[\"parquet\", \"tensorboard\"]";
const RUNS: [&str; 2] = ["joint-s0", "mtcool-s0"];

/// The next varint of `bytes`.
fn varint(bytes: &mut &[u8]) -> u64 {
    let length = 1 + bytes.iter().position(|byte| byte & 0x80 == 0).unwrap();
    let (digits, rest) = bytes.split_at(length);
    *bytes = rest;
    digits.iter().rev().fold(0, |value, byte| (value << 7) | u64::from(byte & 0x7f))
}

/// The fields of a message: number, and the bytes of the value (of a whole number, its eight bytes).
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let length = match tag & 7 {
            0 => {
                found.push((tag >> 3, varint(&mut bytes).to_le_bytes().to_vec()));
                continue;
            }
            1 => 8,
            5 => 4,
            _ => varint(&mut bytes) as usize,
        };
        let (value, rest) = bytes.split_at(length);
        found.push((tag >> 3, value.to_vec()));
        bytes = rest;
    }
    found
}

/// Step, tag and value of every scalar in an event file.
fn scalars(path: &Path) -> Vec<(u64, String, f32)> {
    let content = std::fs::read(path).unwrap();
    let (mut rest, mut found) = (&content[..], Vec::new());
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        let event = fields(&rest[12..12 + length]);
        rest = &rest[16 + length..];
        let of = |fields: &[(u64, Vec<u8>)], number: u64| -> Option<Vec<u8>> {
            fields.iter().find(|(field, _)| *field == number).map(|(_, value)| value.clone())
        };
        let Some(summary) = of(&event, 5) else { continue };
        let value = fields(&of(&fields(&summary), 1).unwrap());
        let Some(number) = of(&value, 2) else { continue };
        let step = u64::from_le_bytes(of(&event, 2).unwrap().try_into().unwrap());
        let tag = String::from_utf8(of(&value, 1).unwrap()).unwrap();
        found.push((step, tag, f32::from_le_bytes(number.try_into().unwrap())));
    }
    found
}

/// The scalars that an event file should have.
fn wanted(lab: &Lab, results: &str, run: &str) -> Vec<(u64, String, f32)> {
    let rows = read_rows(&lab.run_folder(results, run).join("metrics.parquet")).unwrap().into_iter();
    rows.map(|row| (row.step, format!("{}/{}/{}", row.task, row.metric, row.split), row.value as f32)).collect()
}

/// What TensorBoard finds in `folder`; `None` where it is not installed.
fn found_by_tensorboard(folder: &Path) -> Option<Value> {
    let mut command = python::script("events", &["tensorboard"])?;
    Some(serde_json::from_str(&python::run(command.arg(folder))).unwrap())
}

#[test]
fn a_killed_run_has_every_number_once_and_the_same_identity() {
    let lab = Lab::new();
    let sweep = ["--methods", "joint,mtcool", "--seeds", "1", "--set", "log_every=7", "--set", "training.epochs=3"];
    let logged = [&sweep[..], &["--set", LOG]].concat();
    let started = Instant::now();
    succeed(&mut lab.reproduce("plain", &sweep));
    let length = started.elapsed();
    for part in [3, 5] {
        let mut command = lab.reproduce("logged", &logged);
        command.args(["--checkpoint-seconds", "0.01"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(length.mul_f64(f64::from(part) / 10.0));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    succeed(&mut lab.reproduce("logged", &logged));
    for run in RUNS {
        let (plain, folder) = (lab.run_folder("plain", run), lab.run_folder("logged", run));
        assert_eq!(plain.file_name(), folder.file_name(), "the log is no part of the run's identity");
        assert!(!plain.join("events.out.tfevents.run").exists());
        assert_eq!(lab.rows("plain", run), lab.rows("logged", run));
        let wanted = wanted(&lab, "logged", run);
        assert_eq!(scalars(&folder.join("events.out.tfevents.run")), wanted, "{run}");
        let Some(found) = found_by_tensorboard(&folder) else { continue };
        let mut count = 0;
        for (tag, values) in found["scalars"].as_object().unwrap() {
            let own = wanted.iter().filter(|(_, name, _)| name == tag);
            let own: Vec<(u64, f32)> = own.map(|(step, _, value)| (*step, *value)).collect();
            let number = |pair: &Value| (pair[0].as_u64().unwrap(), pair[1].as_f64().unwrap() as f32);
            assert_eq!(values.as_array().unwrap().iter().map(number).collect::<Vec<_>>(), own, "{run} {tag}");
            count += own.len();
        }
        assert_eq!(count, wanted.len());
        let method = run.split('-').next().unwrap();
        let hyperparameters = &found["hyperparameters"];
        assert_eq!((hyperparameters["method"].as_str(), hyperparameters["seed"].as_f64()), (Some(method), Some(0.0)));
        assert_eq!(hyperparameters["training.epochs"].as_f64(), Some(3.0));
        assert!(found["texts"]["configuration"].as_str().unwrap().contains("[training]"));
    }
    // The files belong to what is checked of a finished run.
    succeed(&mut lab.mtcool(&["runs", "verify", "table1", "--results", "logged"]));
    fail(
        lab.reproduce("none", &["--set", "log=[\"tensorboard\"]"]).args(["--methods", "joint"]),
        &["`log` is [tensorboard]", "`parquet` in the list"],
    );
}

#[test]
fn the_figure_of_a_table_is_a_picture_in_tensorboard() {
    let lab = Lab::new();
    let mut command = lab.mtcool(&REFUGE);
    succeed(command.env("MTCOOL_TRAINING__EPOCHS", "1").args(["--methods", "joint", "--seeds", "1", "--set", LOG]));
    let folder = lab.path().join("results/table2");
    assert!(folder.join("events.out.tfevents.figure").is_file());
    let Some(found) = found_by_tensorboard(&folder) else { return };
    let figure = image::open(folder.join("figure.png")).unwrap();
    assert_eq!(found["images"]["figure"], serde_json::json!([[figure.width(), figure.height()]]));
    let run = found_by_tensorboard(&find_run(&folder, "joint-s0")).unwrap();
    assert!(run["scalars"].as_object().unwrap().contains_key("segmentation/dice_disc/validation"), "{run}");
}
