//! Runs that end with the network of their best epoch on the validation split, and that stop when no better one comes; the diagnosis
//! that chooses on the test split.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::{Lab, fail, find_run, succeed, text};
use mtcool_bench::record::read_rows;

/// Joint for `epochs` epochs at a rate at which accuracies rise and fall from epoch to epoch.
fn run(lab: &Lab, results: &str, epochs: usize, settings: &[&str]) -> String {
    let epochs = format!("training.epochs={epochs}");
    let unsteady = [&epochs, "training.schedule=constant", "method.joint.learning_rate=0.25"];
    let mut arguments = vec!["--methods", "joint"];
    arguments.extend(unsteady.iter().chain(settings).flat_map(|setting| ["--set", *setting]));
    succeed(&mut lab.reproduce(results, &arguments))
}

/// The validation values of `metric` of the task `even` after each epoch.
fn curve(lab: &Lab, results: &str, metric: &str) -> Vec<f64> {
    let rows = lab.rows(results, "joint-s0").into_iter();
    rows.filter(|row| row.split == "validation" && row.task == "even" && row.metric == metric)
        .map(|row| row.value)
        .collect()
}

fn status(lab: &Lab, results: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(lab.run_folder(results, "joint-s0").join("run.json")).unwrap()).unwrap()
}

/// The place of the first of the largest values; epochs count from 1.
fn best_of(curve: &[f64]) -> usize {
    1 + (0..curve.len()).rev().max_by(|&a, &b| curve[a].total_cmp(&curve[b])).unwrap()
}

fn tested(lab: &Lab, results: &str) -> Vec<(u64, u64, u64)> {
    let rows = lab.rows(results, "joint-s0").into_iter().filter(|row| row.split == "test");
    rows.map(|row| (row.epoch, row.step, row.value.to_bits())).collect()
}

#[test]
fn a_run_ends_with_its_best_epoch() {
    let lab = Lab::new();
    let by_even = "training.select_by=[\"even.accuracy\"]";
    let printed = run(&lab, "best", 8, &["training.select=best", by_even]);
    let curve_of_best = curve(&lab, "best", "accuracy");
    let best = best_of(&curve_of_best);
    assert!(curve_of_best.len() == 8 && best < 8, "the test needs a worse last epoch: {curve_of_best:?}");
    assert_eq!(status(&lab, "best")["selected_epoch"], best);
    assert!(
        printed.contains(&format!("best epoch on the validation split; the epoch of each run: Joint {best}.")),
        "{printed}"
    );
    // The same network as a run has whose budget ends there.
    run(&lab, "short", best, &[]);
    let model = |results: &str| std::fs::read(lab.run_folder(results, "joint-s0").join("model.safetensors")).unwrap();
    assert!(model("best") == model("short"), "not the network of epoch {best}");
    assert_eq!(tested(&lab, "best"), tested(&lab, "short"));
    // A table about the validation split has the best epoch's values, and says so.
    let printed = run(&lab, "validation", 8, &["training.select=best", by_even, "report=validation"]);
    assert!(printed.contains("so they are optimistic"), "{printed}");
    assert!(printed.contains(&format!("{:.2}", curve_of_best[best - 1])), "{printed}");
    let listed = succeed(&mut lab.mtcool(&["runs", "table1", "--results", "best"]));
    assert!(listed.contains(&format!("8, best {best}")), "{listed}");
}

#[test]
fn a_run_without_better_epochs_stops_early() {
    let lab = Lab::new();
    run(&lab, "patient", 8, &["training.select=best", "training.select_by=[\"even.accuracy\"]", "training.patience=1"]);
    let curve = curve(&lab, "patient", "accuracy");
    let ends = (1..curve.len()).find(|&at| curve[at] <= curve[at - 1]).unwrap();
    assert_eq!(curve.len(), ends + 1, "{curve:?}");
    assert_eq!(
        (status(&lab, "patient")["epoch"].clone(), status(&lab, "patient")["selected_epoch"].clone()),
        ((ends + 1).into(), ends.into())
    );
    assert_eq!(status(&lab, "patient")["status"], "finished");
}

#[test]
fn what_a_selection_needs_is_checked() {
    let lab = Lab::new();
    for (settings, words) in [
        (&["training.patience=2"][..], &["`training.patience` is given", "training.select = \"best\""][..]),
        (&["training.select_by=[\"even.accuracy\"]"], &["`training.select_by` is given"]),
        (&["training.select=best", "training.patience=0"], &["`training.patience` is 0"]),
        (
            &["training.select=best", "training.select_by=[\"even.acuracy\"]"],
            &["`training.select_by`: unknown column `even.acuracy`"],
        ),
        (&["training.select=first"], &["first", "`last`", "`best`"]),
    ] {
        let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
        fail(&mut lab.reproduce("results", &arguments), words);
    }
}

/// The diagnosis trains as a run of the table does, but its figures are nowhere where a table would find them.
#[test]
fn choosing_on_the_test_split_is_a_diagnosis_and_no_result() {
    let lab = Lab::new();
    let label = "optimistic: chosen on the test split";
    let settings = ["--methods", "joint", "--set", "training.epochs=3"];
    let diagnosis = [&settings[..], &["--diagnose", "test-selection"]].concat();
    let printed = succeed(&mut lab.reproduce("results", &diagnosis));
    for words in ["OPTIMISTIC: CHOSEN ON THE TEST SPLIT", "A diagnosis, not a result", label, "| Joint  |"] {
        assert!(printed.contains(words), "no `{words}` in:\n{printed}");
    }
    let experiment = lab.path().join("results/table1");
    let place = experiment.join("diagnosis/test-selection");
    assert_eq!(std::fs::read_to_string(place.join("report.md")).unwrap().trim(), printed.trim());
    let csv = std::fs::read_to_string(place.join("epochs.csv")).unwrap();
    assert_eq!(csv.lines().skip(1).count(), 3 * 2, "{csv}");
    assert!(csv.lines().skip(1).all(|line| line.starts_with(label)), "{csv}");
    for name in ["table.md", "table.csv", "sweep.json", "runs", "tables", "report.html"] {
        assert!(!experiment.join(name).exists(), "the diagnosis wrote `{name}`");
    }

    // Again, nothing is trained: the runs are found.
    let again = lab.reproduce("results", &diagnosis).output().unwrap();
    assert!(again.status.success() && text(&again.stdout) == printed, "{}", text(&again.stderr));

    let run = find_run(&place, "joint-s0");
    let rows = read_rows(&run.join("metrics.parquet")).unwrap();
    assert!(rows.iter().all(|row| ["train", "validation", "optimistic-test", "time"].contains(&row.split.as_str())));
    assert!(std::fs::read_to_string(run.join("config.toml")).unwrap().contains("diagnosis = \"test-selection\""));
    assert!(!run.join("predictions.parquet").exists() && !run.join("cases.parquet").exists());

    // The network of the last epoch is that of a run of the table, and so are its figures.
    let table = succeed(&mut lab.reproduce("results", &settings));
    assert!(!table.contains("ptimistic"), "{table}");
    let of_table = lab.run_folder("results", "joint-s0");
    let model = |run: &std::path::Path| std::fs::read(run.join("model.safetensors")).unwrap();
    assert!(model(&run) == model(&of_table), "a diagnosis trains differently");
    let last = |rows: Vec<mtcool_bench::record::Row>, split: &str| {
        let of_split = rows.into_iter().filter(|row| row.split == split && row.epoch == 3);
        of_split.map(|row| (row.task, row.metric, row.value.to_bits())).collect::<Vec<_>>()
    };
    let (ours, tables) = (last(rows, "optimistic-test"), last(lab.rows("results", "joint-s0"), "test"));
    assert!(!ours.is_empty() && ours == tables, "{ours:?}, {tables:?}");

    // Even a copy of the run among those of the table is no run of the table.
    let copy = of_table.parent().unwrap().join(run.file_name().unwrap());
    std::fs::create_dir(&copy).unwrap();
    for file in std::fs::read_dir(&run).unwrap().flatten().filter(|file| file.path().is_file()) {
        std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    let reported = succeed(&mut lab.mtcool(&["report", "table1", "--results", "results"]));
    assert!(reported.contains("- Runs: 1,") && !reported.contains("ptimistic"), "{reported}");
}

#[test]
fn a_diagnosis_needs_a_test_split_that_may_be_read() {
    let lab = Lab::new();
    let diagnose = |further: &[&str]| {
        let arguments = [&["--methods", "joint", "--diagnose", "test-selection"], further].concat();
        lab.reproduce("results", &arguments)
    };
    fail(&mut diagnose(&["--set", "report=validation"]), &["--diagnose test-selection", "`report` is \"validation\""]);
    assert!(!lab.path().join("results/table1").exists(), "nothing is begun");
    fail(&mut diagnose(&["--force"]), &["--diagnose", "--force"]);
    fail(&mut lab.reproduce("results", &["--diagnose", "test"]), &["test-selection"]);
}
