//! Configurations and the files of runs, fed with damaged ones: none may panic, hang or take more than 1 GiB. A plain `cargo test`
//! takes a few hundred inputs for each; `cargo xtask fuzz [TARGET] --minutes N` takes as long as one likes.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../../mtcool-data/tests/fuzzer/mod.rs"]
mod fuzzer;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use candle_core::{Device, Tensor};
use fuzzer::Target;
use mtcool_bench::Registry;
use mtcool_bench::plan::{Overrides, Plan, assignments_of};
use mtcool_bench::record::{
    Checkpoint, Row, damaged_files, parquet_bytes, read_hits, read_intact, read_model, read_predictions, read_rows,
    rows_frame, stored_runs,
};
use mtcool_bench::suite::Prediction;
use mtcool_core::Parameters;

const WORDS: &[&str] = &[
    "[default]\n",
    "[default.method.joint]\n",
    "like = \"joint\"\n",
    "[[default.claims]]\n",
    "grid = { }",
    "nan",
    "inf",
    "[]",
    "{}",
    "\"\"\"",
    "training.epochs",
    "network.widths",
    "seeds",
    "method.mtcool.bound",
    "1e308",
    "=",
    "'",
    "[[",
    "0x",
    "\u{0}",
];

#[test]
fn experiments_in_toml() {
    let seeds = ["table1", "table2", "table3", "own"].map(|name| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../experiments/{name}.toml"));
        std::fs::read(file).unwrap()
    });
    let run = |bytes: &[u8], scratch: &Path| {
        let file = scratch.join("experiment.toml");
        std::fs::write(&file, bytes).unwrap();
        drop(Plan::load(&Registry::builtin(), file.to_str().unwrap(), &Overrides::default()));
    };
    Target { words: WORDS, ..Target::new("toml", seeds.into(), run) }.check();
}

#[test]
fn overrides_of_the_command_line() {
    let seeds = [
        "quick\ntraining.epochs=5",
        "smoke\nseeds=[1,2]\ngrid={ method.mtcool.bound = [0.1, 0.2] }",
        "paper\nmethod.mtcool.bound=1e-3\nnetwork.widths=[4,8]\nmethods=[\"joint\", \"mtcool\"]\ndevice=cuda:0",
    ];
    let run = |bytes: &[u8], _: &Path| {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines().map(str::to_owned);
        let overrides =
            Overrides { profile: lines.next().filter(|name| !name.is_empty()), assignments: lines.collect() };
        drop(Plan::load(&Registry::builtin(), "table1", &overrides));
    };
    let seeds = seeds.map(|text| text.as_bytes().to_vec()).into();
    Target { words: WORDS, ..Target::new("overrides", seeds, run) }.check();
}

/// Bytes as the system's text: where any bytes are allowed, as they are.
fn system_text(bytes: &[u8]) -> OsString {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec());
    #[cfg(not(unix))]
    return String::from_utf8_lossy(bytes).into_owned().into();
}

#[test]
fn variables_of_the_environment() {
    let seeds = [
        "MTCOOL_TRAINING__EPOCHS=5\nHOME=/home/\u{e4}",
        "MTCOOL_METHOD__MTCOOL__BOUND=1e-3\nMTCOOL_SEEDS=[1,2]\nMTCOOL_LOG=info",
    ];
    let run = |bytes: &[u8], _: &Path| {
        let pairs = bytes.split(|&byte| byte == b'\n').map(|line| {
            let equal = line.iter().position(|&byte| byte == b'=').unwrap_or(line.len());
            (system_text(&line[..equal]), system_text(line.get(equal + 1..).unwrap_or_default()))
        });
        if let Ok(assignments) = assignments_of(pairs) {
            drop(Plan::load(&Registry::builtin(), "table1", &Overrides { profile: None, assignments }));
        }
    };
    let seeds = seeds.map(|text| text.as_bytes().to_vec()).into();
    Target { words: &["MTCOOL_", "__", "=", "\n", "SEEDS", "DATA__", "."], ..Target::new("variables", seeds, run) }
        .check();
}

#[test]
fn parquet_files_of_runs() {
    let row = |step: u64, metric: &str| Row {
        step,
        epoch: 1,
        split: "train".into(),
        task: "even".into(),
        metric: metric.into(),
        value: 0.5 * step as f64,
    };
    let rows: Vec<Row> = (0..20).map(|step| row(step, if step % 2 == 0 { "loss" } else { "accuracy" })).collect();
    let predictions: Vec<Prediction> =
        (0..9).map(|index| Prediction { task: "even".into(), index, target: index % 5, predicted: 1 }).collect();
    let predictions = mtcool_bench::record::predictions_frame(&predictions).unwrap();
    let seeds = vec![parquet_bytes(rows_frame(&rows).unwrap()).unwrap(), parquet_bytes(predictions).unwrap()];
    let run = |bytes: &[u8], scratch: &Path| {
        let file = scratch.join("metrics.parquet");
        std::fs::write(&file, bytes).unwrap();
        drop((read_rows(&file), read_predictions(&file, "even"), read_hits(&file, "even")));
    };
    Target::new("parquet", seeds, run).check();
}

#[test]
fn checkpoints_of_runs() {
    let tensor = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
    let named = BTreeMap::from([("theta.even.conv.weight", tensor(&[1.0, 2.0])), ("phi.odd.fc.bias", tensor(&[3.0]))]);
    let seeds = vec![safetensors::serialize(named, None).unwrap()];
    let run = |bytes: &[u8], scratch: &Path| {
        let folder = scratch.join("step-000000001");
        std::fs::create_dir(&folder).unwrap();
        let whole = folder.join("model.safetensors");
        std::fs::write(&whole, bytes).unwrap();
        drop(read_model(&whole, &Parameters::new()));
        std::fs::write(folder.join("position.json"), bytes).unwrap();
        drop(Checkpoint::load_newest(scratch, &Parameters::new()));
    };
    Target {
        words: &["\"F32\"", "\"BF16\"", "[0,8]", "\"shape\":[]", "18446744073709551615"],
        ..Target::new("checkpoint", seeds, run)
    }
    .check();
}

#[test]
fn statuses_and_configurations_of_runs() {
    let status =
        r#"{"status":"interrupted","method":"joint","seed":0,"epoch":1,"epochs":3,"step":10,"batches":20,"hash":"00"}"#;
    let config = "results_version = 2\nexperiment = \"table1\"\nmethod = \"joint\"\nseed = 0\nhash = \"00\"\n\n[settings]\nlearning_rate = 0.1\n";
    let run = |bytes: &[u8], scratch: &Path| {
        let folder = scratch.join("runs").join("joint-s0-00");
        std::fs::create_dir_all(&folder).unwrap();
        // The same bytes in both roles: each parser refuses what belongs to the other.
        std::fs::write(folder.join("run.json"), bytes).unwrap();
        std::fs::write(folder.join("config.toml"), bytes).unwrap();
        drop(stored_runs(&scratch.join("runs")));
    };
    Target::new("run", vec![status.as_bytes().to_vec(), config.as_bytes().to_vec()], run).check();
}

#[test]
fn lists_of_a_runs_files() {
    let seeds = [
        r#"{"run.json":"28043ff911f28a5cb5742f7638363546311225a63eabc365af5356c70d4deb77","maps/cup/T1.png":"00"}"#,
        r#"{"../run.json":"00","/dev/zero":"00","maps/../../x":"00","":"","a//b":"00"}"#,
    ];
    let run = |bytes: &[u8], scratch: &Path| {
        let folder = scratch.join("joint-s0-00");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("run.json"), b"{}").unwrap();
        std::fs::write(folder.join("files.json"), bytes).unwrap();
        drop((damaged_files(&folder), read_intact(&folder.join("run.json"))));
    };
    let words = &["../", "/dev/zero", "/proc/self/mem", "\\u0000", "maps/", ".", "run.json"];
    Target { words, ..Target::new("file_list", seeds.map(|text| text.as_bytes().to_vec()).into(), run) }.check();
}
