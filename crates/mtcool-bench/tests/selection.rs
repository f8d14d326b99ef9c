//! Runs that end with the network of their best epoch on the validation split, and that stop when no better one comes.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::{Lab, fail, succeed};

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
