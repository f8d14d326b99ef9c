//! A small synthetic data set, and functions that run the program on it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

pub mod cells;
#[cfg(unix)]
pub mod slurm;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mtcool_bench::record::{Row, TIME, read_rows};
use mtcool_data::digits::{DigitsConfig, write_digits};
use tempfile::TempDir;

/// The arguments of `mtcool reproduce table2` on small synthetic photographs; it takes seconds.
pub const REFUGE: [&str; 14] = [
    "reproduce",
    "table2",
    "--set",
    "data.synthetic={ train = 24, test = 10, seed = 3, shrink = 16 }",
    "--set",
    "data.settings.side=32",
    "--set",
    "network.widths=[4, 8, 16]",
    "--set",
    "network.groups=2",
    "--set",
    "training.epochs=3",
    "--set",
    "method.mtcool.warmup_iterations=2",
];

/// The arguments of `mtcool reproduce table3` on synthetic photographs of 219 x 146 pixels, a sixteenth of the published sides;
/// it takes seconds.
pub const HRF_AV: [&str; 16] = [
    "reproduce",
    "table3",
    "--set",
    "data.synthetic={ train = 6, test = 12, seed = 3, shrink = 16 }",
    "--set",
    "data.settings={ scale = 16, patch = 32, tile = 64, overlap = 16, margin = 4, patches_per_photograph = 2, held_out = 1 }",
    "--set",
    "network.widths=[4, 8, 16]",
    "--set",
    "network.groups=2",
    "--set",
    "training.epochs=3",
    "--set",
    "training.batch_size=2",
    "--set",
    "method.mtcool.warmup_iterations=2",
];

/// The program that cargo has built, or the one that `MTCOOL_PROGRAM` names where the tests run without cargo.
fn program() -> OsString {
    std::env::var_os("MTCOOL_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_mtcool").into())
}

/// The program, started in `folder` and without `MTCOOL_*` variables, so that no other file or setting affects it.
pub fn program_in(folder: &Path) -> Command {
    let mut command = Command::new(program());
    command.current_dir(folder);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MTCOOL_")) {
        command.env_remove(name);
    }
    command
}

/// A temporary folder with 600 training and 100 test digits, and space for results.
pub struct Lab {
    folder: TempDir,
}

impl Lab {
    pub fn new() -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        write_digits(&lab.data(), DigitsConfig { train: 600, test: 100, seed: 1 }).unwrap();
        lab
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The folder of the run `run`, such as `joint-s0`, of Table 1 (see [`find_run`]).
    pub fn run_folder(&self, results: &str, run: &str) -> PathBuf {
        find_run(&self.path().join(results).join("table1"), run)
    }

    /// The program in the temporary folder, as [`program_in`]. `--set` among `arguments` becomes a variable, which
    /// a flag that is added to the command may override: a key may be given in one flag only.
    pub fn mtcool(&self, arguments: &[&str]) -> Command {
        let mut command = program_in(self.path());
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match *argument {
                "--set" => {
                    let (key, value) = rest.next().unwrap().split_once('=').unwrap();
                    command.env(format!("MTCOOL_{}", key.replace('.', "__").to_uppercase()), value);
                }
                argument => {
                    command.arg(argument);
                }
            }
        }
        command
    }

    /// `mtcool reproduce table1` with few small batches; it takes a few seconds.
    pub fn reproduce(&self, results: &str, further: &[&str]) -> Command {
        self.table1("reproduce", results, further)
    }

    /// The same configuration for the command `verb`, such as `sweep`.
    pub fn table1(&self, verb: &str, results: &str, further: &[&str]) -> Command {
        let data = self.data();
        let mut arguments = vec![verb, "table1", "--data", data.to_str().unwrap(), "--results", results];
        arguments.extend(["--set", "training.batch_size=16", "--set", "training.epochs=2"]);
        arguments.extend(["--set", "method.mtcool.warmup_iterations=5"]);
        let mut command = self.mtcool(&arguments);
        command.args(further);
        if !further.contains(&"--seeds") && !further.contains(&"--only") {
            command.args(["--seeds", "1"]);
        }
        command
    }

    /// The metrics of a run, without times.
    pub fn rows(&self, results: &str, run: &str) -> Vec<Row> {
        metrics(&self.run_folder(results, run))
    }
}

/// The metrics in a run's folder, without times, in which no two runs are alike.
pub fn metrics(run: &Path) -> Vec<Row> {
    let rows = read_rows(&run.join("metrics.parquet")).unwrap().into_iter();
    rows.filter(|row| row.split != TIME).collect()
}

/// The folder of the run `run`, such as `joint-s0`, in an experiment's folder. If several configurations have such a run, the one
/// that was written last. If there is none, a path that does not exist.
pub fn find_run(experiment: &Path, run: &str) -> PathBuf {
    let runs = experiment.join("runs");
    let is_run = |folder: &PathBuf| {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        name.strip_prefix(run).is_some_and(|rest| rest.starts_with('-'))
    };
    let folders = std::fs::read_dir(&runs).into_iter().flatten().map(|entry| entry.unwrap().path()).filter(is_run);
    let written = |folder: &PathBuf| folder.join("run.json").metadata().and_then(|file| file.modified()).ok();
    folders.max_by_key(written).unwrap_or_else(|| runs.join(run))
}

/// Runs a command to its end and expects success; returns its output.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Runs a command to its end and expects an error, without a panic, whose message contains all of `parts`.
pub fn fail(command: &mut Command, parts: &[&str]) -> Output {
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    assert!(!output.status.success(), "succeeded: {}\n{said}", text(&output.stdout));
    assert!(!said.contains("panicked"), "{said}");
    for part in parts {
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
    output
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The values of the pixels of a mask, and its width and height.
pub fn mask_values(path: &Path) -> (Vec<u8>, [u32; 2]) {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut values = vec![0; reader.output_buffer_size().unwrap()];
    let size = reader.next_frame(&mut values).unwrap();
    (values, [size.width, size.height])
}
