//! The experiment of the README: its table, what its methods learn, and that it goes on where it was.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::process::{Command, Output};

fn reproduce(folder: &Path, further: &[&str]) -> Output {
    let experiment = Path::new(env!("CARGO_MANIFEST_DIR")).join("ring.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_own-experiment"));
    command.current_dir(folder).arg("reproduce").arg(experiment).args(["--seeds", "1"]).args(further);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The number in `column` of the row of `method`.
fn cell(table: &str, method: &str, column: usize) -> f64 {
    let row = table.lines().find(|line| line.starts_with(&format!("| {method} "))).unwrap();
    row.split('|').nth(column).unwrap().trim().parse().unwrap()
}

#[test]
fn own_entries_have_a_table_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let table = String::from_utf8(reproduce(folder.path(), &[]).stdout).unwrap();
    for method in ["Joint", "Median length", "MT-COOL (Ours)"] {
        // Half of the points lie in the ring, and a constant is wrong by 0.64 on average.
        assert!(cell(&table, method, 3) > 85.0 && cell(&table, method, 4) < 0.3, "{method}: {table}");
    }
    assert!(table.contains("Best on Error: Independent."), "a lower error is better: {table}");
    assert!(!table.contains("SYNTHETIC") && !table.contains("paper"), "{table}");
    // No data set of this experiment tells single predictions, so no run has a file of them.
    let runs = folder.path().join("results/ring/runs");
    let runs: Vec<_> = std::fs::read_dir(runs).unwrap().map(|run| run.unwrap().path()).collect();
    let finished = runs.iter().filter(|run| run.join("model.safetensors").exists());
    assert!(finished.clone().count() > 2 && finished.clone().all(|run| !run.join("predictions.parquet").exists()));
    // Finished runs are not run again, and further ones join them.
    let again = reproduce(folder.path(), &["--methods", "median,pcgrad,dwa", "--set", "method.dwa.window=60"]);
    let log = String::from_utf8(again.stderr).unwrap();
    assert!(!log.contains("median-s0 is finished") && log.contains("dwa-s0 is finished"), "{log}");
}

#[test]
fn a_wrong_setting_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_own-experiment"));
    let experiment = Path::new(env!("CARGO_MANIFEST_DIR")).join("ring.toml");
    command.current_dir(folder.path()).arg("reproduce").arg(experiment);
    let output = command.args(["--set", "loss.angle={ dice = {} }"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("loss.angle.dice") && said.contains("`huber`"), "{said}");
}
