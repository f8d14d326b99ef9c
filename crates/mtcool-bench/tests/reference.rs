//! The tables in `results/reference` that keep their runs are, to the letter, what the program writes from these runs today.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::{Path, PathBuf};

use common::{Lab, succeed};

/// The experiments whose runs are kept.
const KEPT: [&str; 2] = ["table2", "table3"];

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/reference")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn kept_runs_give_their_tables() {
    for name in KEPT {
        let lab = Lab::new();
        let (kept, written) = (reference().join(name), lab.path().join("results").join(name));
        copy(&kept.join("runs"), &written.join("runs"));
        std::fs::copy(kept.join("sweep.json"), written.join("sweep.json")).unwrap();
        succeed(&mut lab.mtcool(&["report", name]));
        for file in ["table.md", "table.csv"] {
            let text = |folder: &Path| std::fs::read_to_string(folder.join(file)).unwrap();
            let (kept, written) = (text(&kept), text(&written));
            let differ = kept.lines().zip(written.lines()).find(|(kept, written)| kept != written);
            assert_eq!(differ, None, "{name}/{file}");
            assert_eq!(kept, written, "{name}/{file}");
        }
    }
}
