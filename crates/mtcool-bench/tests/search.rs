//! A search for settings: the same trials whatever happens to its processes, the same budget for all methods, no look at the test
//! split.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::io::Cursor;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Lab, fail, succeed};
use mtcool_bench::record::read_rows;
use polars::prelude::{DataFrame, ParquetReader, SerReader};

/// `mtcool search table1`: four trials of two methods, with runs of one epoch and then of two.
fn search(lab: &Lab, results: &str, further: &[&str]) -> Command {
    let data = lab.data();
    let mut arguments = vec!["search", "table1", "--data", data.to_str().unwrap(), "--results", results];
    arguments.extend(["--set", "training.batch_size=16", "--set", "training.epochs=2"]);
    arguments.extend(["--set", "search.rungs=[0.5, 1.0]", "--set", "method.mtcool.warmup_iterations=5"]);
    let mut command = lab.mtcool(&arguments);
    command.args(further);
    for (flag, value) in [("--methods", "joint,mtcool"), ("--trials", "4"), ("--seeds", "1")] {
        if !further.contains(&flag) {
            command.args([flag, value]);
        }
    }
    command
}

/// `trials.parquet` without the training times.
fn trials(lab: &Lab, results: &str) -> DataFrame {
    let path = lab.path().join(results).join("table1/search/trials.parquet");
    let frame = ParquetReader::new(Cursor::new(std::fs::read(path).unwrap())).finish().unwrap();
    frame.drop("train_seconds").unwrap()
}

#[test]
fn all_methods_have_the_same_budget_and_the_test_split_is_not_read() {
    let lab = Lab::new();
    let printed = succeed(&mut search(&lab, "results", &[]));
    let folder = lab.path().join("results/table1/search");
    assert_eq!(std::fs::read_to_string(folder.join("report.md")).unwrap(), printed);
    assert!(printed.contains("SYNTHETIC DATA") && printed.contains("4 and 2 trials of each method"), "{printed}");
    assert!(std::fs::read_to_string(folder.join("report.html")).unwrap().contains("MT-COOL (Ours): bound"));
    assert!(folder.join("trials.csv").exists());

    let frame = trials(&lab, "results");
    let text = |name: &str, at: usize| frame.column(name).unwrap().str().unwrap().get(at).unwrap().to_owned();
    let count = |name: &str, at: usize| frame.column(name).unwrap().u64().unwrap().get(at).unwrap();
    let promoted = frame.column("promoted").unwrap().bool().unwrap().clone();
    let scores = frame.column("score").unwrap().f64().unwrap().clone();
    for method in ["joint", "mtcool"] {
        let of = |rung| {
            let fits = |&at: &usize| text("method", at) == method && count("rung", at) == rung;
            (0..frame.height()).filter(fits).collect::<Vec<usize>>()
        };
        let (first, second) = (of(0), of(1));
        assert_eq!((first.len(), second.len()), (4, 2), "{method}");
        assert!(first.iter().all(|&at| count("epochs", at) == 1) && second.iter().all(|&at| count("epochs", at) == 2));
        // The better half went on, with the settings that it had.
        let mut went_on: Vec<usize> = first.iter().copied().filter(|&at| promoted.get(at).unwrap()).collect();
        let least = went_on.iter().map(|&at| scores.get(at).unwrap()).fold(f64::INFINITY, f64::min);
        assert!(first.iter().filter(|at| !went_on.contains(at)).all(|&at| scores.get(at).unwrap() <= least), "{frame}");
        went_on.sort_by_key(|&at| count("trial", at));
        let number = |at: &usize| (count("trial", *at), text("method", *at));
        assert!(went_on.iter().map(number).eq(second.iter().map(number)), "{frame}");
    }
    let mut runs = 0;
    for run in std::fs::read_dir(folder.join("runs")).unwrap().map(|entry| entry.unwrap().path()) {
        if run.file_name().unwrap() != ".locks" {
            let rows = read_rows(&run.join("metrics.parquet")).unwrap();
            assert!(rows.iter().any(|row| row.split == "validation") && rows.iter().all(|row| row.split != "test"));
            runs += 1;
        }
    }
    assert_eq!(runs, 2 * (4 + 2));
    // The runs of a search are no rows of the experiment's table.
    assert!(!lab.path().join("results/table1/runs").exists());
    // A longer search begins with the same trials: each method needs one new trial, and one more run in the next rung.
    let output = search(&lab, "results", &["--trials", "5"]).output().unwrap();
    assert!(output.status.success(), "{}", common::text(&output.stderr));
    let said = common::text(&output.stderr);
    assert!(said.contains("joint_trial04-s0 is finished") && said.matches("-s0 is finished").count() == 4, "{said}");
}

#[test]
fn a_search_that_is_killed_or_shared_ends_with_the_same_trials() {
    let lab = Lab::new();
    let started = Instant::now();
    succeed(&mut search(&lab, "whole", &[]));
    let length = started.elapsed();
    let whole = trials(&lab, "whole");

    let mut killed = 0;
    for part in [0.15, 0.3, 0.45, 0.3] {
        let mut command = search(&lab, "killed", &["--checkpoint-seconds", "0.01"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(length.mul_f64(part).max(Duration::from_millis(50)));
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
    }
    succeed(&mut search(&lab, "killed", &[]));
    assert!(killed >= 2, "only {killed} of 4 kills met a running search");
    assert!(trials(&lab, "killed").equals_missing(&whole), "{}\n{whole}", trials(&lab, "killed"));

    let start = || {
        let mut command = search(&lab, "shared", &["--threads", "1"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let (mut first, mut second) = (start(), start());
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    assert!(trials(&lab, "shared").equals_missing(&whole), "{}\n{whole}", trials(&lab, "shared"));
    let log = std::fs::read_to_string(lab.path().join("shared/table1/search/log.jsonl")).unwrap();
    for run in ["joint_trial00-s0", "mtcool_trial03-s0"] {
        let finished = log.matches(&format!("{run} is finished")).count();
        assert!((1..=2).contains(&finished), "{run} was finished {finished} times, in at most two rungs");
    }
}

#[test]
fn a_trial_that_diverges_is_told_and_does_not_go_on() {
    let lab = Lab::new();
    let space =
        ["--methods", "joint", "--trials", "3", "--set", "search.joint.learning_rate={ values = [0.01, 0.02, 1e30] }"];
    let printed = succeed(&mut search(&lab, "results", &space));
    assert!(printed.contains("33 %"), "{printed}");
    let frame = trials(&lab, "results");
    let diverged: u64 = frame.column("diverged").unwrap().u64().unwrap().iter().flatten().sum();
    assert_eq!((frame.height(), diverged), (3 + 2, 1), "{frame}");
    let all = ["--methods", "joint", "--trials", "2", "--set", "search.joint.learning_rate={ values = [1e29, 1e30] }"];
    let all = [&all[..], &["--set", "method.joint.learning_rate=1e30"]].concat();
    let printed = succeed(&mut search(&lab, "none", &all));
    assert!(printed.contains("every trial diverged"), "{printed}");
    fail(search(&lab, "none", &all).arg("--write"), &["every trial diverged, so that there is nothing to write"]);
}

#[test]
fn winners_are_written_with_where_they_come_from() {
    let lab = Lab::new();
    let file = lab.path().join("mine.toml");
    std::fs::write(&file, include_str!("../experiments/table1.toml")).unwrap();
    let run = |flags: &[&str]| {
        let data = lab.data();
        let common = ["search", "mine.toml", "--data", data.to_str().unwrap(), "--methods", "joint", "--seeds", "1"];
        let short = ["--trials", "2", "--set", "training.batch_size=16", "--set", "training.epochs=1"];
        succeed(&mut lab.mtcool(&[&common[..], &short, flags].concat()))
    };
    run(&[]);
    let text = || std::fs::read_to_string(&file).unwrap();
    assert_eq!(text(), include_str!("../experiments/table1.toml"), "without --write the file stays");
    assert!(run(&["--write"]).contains("The best settings are in `mine.toml`"));
    let written = text();
    assert_eq!(written.matches("# Found by `mtcool search mine.toml").count(), 1, "{written}");
    let lines = written.lines().count();
    assert_eq!(lines, include_str!("../experiments/table1.toml").lines().count() + 1, "one comment is new");
    run(&["--write"]);
    assert_eq!(text().lines().count(), lines);
    // An experiment of the program has no file here.
    let printed = succeed(search(&lab, "results", &["--methods", "joint", "--trials", "1"]).arg("--write"));
    let (_, lines) = printed.split_once("these are its lines:\n").unwrap();
    let parsed: toml::Table = lines.parse().unwrap();
    assert!(parsed["default"]["method"]["joint"]["learning_rate"].is_float(), "{lines}");
}

#[test]
fn a_wrong_space_is_refused_before_any_run_with_its_key() {
    let lab = Lab::new();
    for (assignment, parts) in [
        (
            "search.joint.learning_rate={ log = [0.0, 0.1] }",
            &["`search.joint.learning_rate.log` is [0.0, 0.1]", "above 0"][..],
        ),
        ("search.joint.learning_rat={ range = [0.1, 0.2] }", &["`search.joint.learning_rat`", "unknown key"]),
        ("search.mtcool.samples={ range = [0, 2] }", &["`search.mtcool.samples` with 0", "at least 1"]),
        (
            "search.joint.learning_rate={ values = [0.1, 0.2] }",
            &["`search.joint` has 2 different settings", "search.trials"],
        ),
        ("search.objective=[\"even.f1\"]", &["`search.objective`", "even.accuracy"]),
        ("search.rungs=[2.0]", &["`search.rungs`", "shares"]),
    ] {
        fail(&mut search(&lab, "results", &["--set", assignment]), parts);
    }
    assert!(!lab.path().join("results").exists());
}
