//! Training works: methods learn to read drawn digits, with each optimiser and with a loss from the experiment's file.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::{Lab, succeed};

/// Test accuracy of both tasks in per cent.
fn accuracies(lab: &Lab, run: &str) -> Vec<f64> {
    let rows = lab.rows("results", run).into_iter();
    rows.filter(|row| row.split == "test" && row.metric == "accuracy").map(|row| row.value).collect()
}

/// Five classes each: a constant reaches about 20.
fn learns(methods: &[&str], settings: &[&str]) {
    let lab = Lab::new();
    let names = methods.join(",");
    let mut arguments = vec!["--methods", &names, "--set", "training.epochs=20"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", *setting]));
    succeed(&mut lab.reproduce("results", &arguments));
    for method in methods {
        let reached = accuracies(&lab, &format!("{method}-s0"));
        assert_eq!(reached.len(), 2);
        assert!(reached.iter().all(|&accuracy| accuracy > 80.0), "{method} with {settings:?}: {reached:?}");
    }
}

#[test]
fn every_kind_of_method_learns_drawn_digits() {
    learns(&["independent", "joint", "mtcool", "vanilla", "pcgrad", "mgda", "dwa", "f_mtl"], &["method.dwa.window=15"]);
}

#[test]
fn adamw_learns_drawn_digits() {
    let rates = ["method.joint.learning_rate=0.002", "method.mtcool.alpha=0.002", "method.mtcool.beta=0.002"];
    learns(&["joint", "mtcool"], &[&["training.optimizer=adamw", "training.weight_decay=0.01"][..], &rates].concat());
}

#[test]
fn clipped_and_accumulated_gradients_and_other_losses_learn_drawn_digits() {
    let settings = [
        "training.clip_norm=1.0",
        "training.nesterov=true",
        "training.weight_decay_on=weights",
        "training.weight_decay=1e-4",
        "training.batch_size=8",
        "training.accumulate=2",
        "loss.even.focal={ gamma = 1.0, class_weights = \"inverse_frequency\" }",
        "loss.odd.cross_entropy={ label_smoothing = 0.1, class_weights = \"inverse_sqrt_frequency\" }",
    ];
    learns(&["joint", "mtcool"], &settings);
}
