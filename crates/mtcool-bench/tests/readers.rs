//! Other programs read every Parquet file that a sweep writes: pyarrow, pandas, fastparquet and DuckDB, where Python has them.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Lab, REFUGE, succeed, text};

/// All Parquet files below `folder`.
fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let inside = folders.iter().flat_map(|folder| parquet_files(folder));
    files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "parquet")).chain(inside).collect()
}

#[test]
fn every_file_is_read_by_the_usual_readers() {
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    if Command::new(&python).arg("--version").output().is_err() {
        println!("not tested, since there is no Python");
        return;
    }
    let lab = Lab::new();
    succeed(&mut lab.reproduce("results", &["--methods", "joint,mtcool", "--set", "training.epochs=1"]));
    let mut photographs = lab.mtcool(&REFUGE);
    succeed(photographs.args(["--data", "synth", "--seeds", "1", "--methods", "joint", "--set", "training.epochs=1"]));
    let files = parquet_files(&lab.path().join("results"));
    let kinds: BTreeSet<_> =
        files.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    let expected = ["cases", "metrics", "predictions", "rows", "runs", "table"].map(|kind| format!("{kind}.parquet"));
    assert_eq!(kinds, BTreeSet::from(expected));

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers.py");
    let output = Command::new(python).env("PYTHONDONTWRITEBYTECODE", "1").arg(script).args(&files).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    print!("{}", text(&output.stdout));
}
