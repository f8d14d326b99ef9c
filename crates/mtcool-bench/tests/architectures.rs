//! The key `network.architecture`: rows of one table with different networks, their sizes, training by any method, and what is refused.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::{Lab, REFUGE, fail, find_run, succeed};
use mtcool_bench::Registry;
use mtcool_bench::plan::{DataIdentity, Overrides, Plan, StoredSettings};
use mtcool_bench::record::read_rows;
use mtcool_bench::suite::NetworkConfig;

const OTHERS: [&str; 4] = ["cross_stitch", "mtan", "mmoe", "cgc"];

fn load(experiment: &str, profile: Option<&str>, assignments: &[&str]) -> Plan {
    let assignments = assignments.iter().map(|assignment| (*assignment).to_owned()).collect();
    let overrides = Overrides { profile: profile.map(str::to_owned), assignments };
    Plan::load(&Registry::builtin(), experiment, &overrides).unwrap()
}

fn network_of(plan: &Plan, row: &str) -> NetworkConfig {
    plan.methods.iter().find(|method| *method.entry.name == *row).unwrap().network.clone()
}

/// Training for 20 epochs on 600 drawn digits in batches of 16.
fn train(lab: &Lab, experiment: &str, methods: &str, further: &[&str]) -> String {
    let data = lab.data();
    let mut arguments = vec!["reproduce", experiment, "--data", data.to_str().unwrap(), "--results", "results"];
    arguments.extend(["--methods", methods, "--seeds", "1", "--set", "training.batch_size=16"]);
    arguments.extend(["--set", "training.epochs=20", "--set", "method.mtcool.warmup_iterations=100"]);
    arguments.extend(further);
    succeed(&mut lab.mtcool(&arguments))
}

/// Test accuracy of both tasks in per cent.
fn accuracies(lab: &Lab, experiment: &str, row: &str) -> Vec<f64> {
    let run = find_run(&lab.path().join("results").join(experiment), &format!("{row}-s0"));
    let rows = read_rows(&run.join("metrics.parquet")).unwrap().into_iter();
    rows.filter(|row| row.split == "test" && row.metric == "accuracy").map(|row| row.value).collect()
}

/// Five classes each: a constant reaches about 20. With 50 test images per task, seeds differ by several points; Joint reaches 80 to 90.
#[test]
fn every_architecture_learns_drawn_digits_and_its_size_is_in_the_table() {
    let lab = Lab::new();
    let printed = train(&lab, "architectures", "joint,cross_stitch,mtan,mmoe,cgc", &[]);
    for row in OTHERS {
        let reached = accuracies(&lab, "architectures", row);
        assert!(reached.len() == 2 && reached.iter().all(|&accuracy| accuracy > 60.0), "{row}: {reached:?}");
    }
    // By hand: `parameters_are_counted_by_hand` of mtcool-models.
    let joint: f64 = 21_840.0;
    for (label, parameters) in
        [("Joint", 21_840), ("Cross-stitch", 43_182), ("MTAN", 29_780), ("MMoE", 55_866), ("CGC", 55_224)]
    {
        let line = printed.lines().find(|line| line.starts_with(&format!("| {label} "))).unwrap();
        let cell = line.split('|').nth(2).unwrap().trim();
        assert_eq!(cell, format!("{:.2}", f64::from(parameters) / joint), "{line}");
    }
    // The network of a run is known from its configuration.
    for row in OTHERS {
        let run = find_run(&lab.path().join("results/architectures"), &format!("{row}-s0"));
        let settings = StoredSettings::parse(&std::fs::read_to_string(run.join("config.toml")).unwrap()).unwrap();
        assert_eq!(settings.settings()["network.architecture"], format!("\"{row}\""));
        let said = succeed(lab.mtcool(&["export", "--run"]).arg(&run).arg(format!("{row}.onnx")));
        assert!(said.contains(&format!("{row}.onnx")), "{said}");
    }
}

#[test]
fn methods_of_every_kind_train_them() {
    let methods = ["mtcool", "pcgrad", "uncertainty", "f_mtl"];
    for architecture in OTHERS {
        let lab = Lab::new();
        train(&lab, "table1", &methods.join(","), &["--set", &format!("network.architecture={architecture}")]);
        for method in methods {
            let reached = accuracies(&lab, "table1", method);
            assert!(
                reached.len() == 2 && reached.iter().all(|&accuracy| accuracy > 60.0),
                "{architecture}, {method}: {reached:?}"
            );
        }
    }
}

#[test]
fn rows_of_a_table_with_maps_choose_an_architecture() {
    let lab = Lab::new();
    let mut command = lab.mtcool(&REFUGE);
    let rows = ["units", "masks"].into_iter().zip(["cross_stitch", "mtan"]);
    for (row, architecture) in rows.clone() {
        let table = format!("method.{row}={{ like = \"joint\", network = {{ architecture = \"{architecture}\" }} }}");
        command.args(["--set", &table]);
    }
    command.args(["--methods", "joint,units,masks", "--results", "results", "--seeds", "1"]);
    let printed = succeed(&mut command);
    let params = |label: &str| -> f64 {
        let line = printed.lines().find(|line| line.starts_with(&format!("| {label} "))).unwrap();
        line.split('|').nth(2).unwrap().trim().parse().unwrap()
    };
    assert!(params("Joint") == 1.0 && params("units") > 1.2 && params("masks") > 1.0, "{printed}");
    for (row, _) in rows {
        let run = find_run(&lab.path().join("results/table2"), &format!("{row}-s0"));
        succeed(lab.mtcool(&["export", "--run"]).arg(&run).arg(format!("{row}.onnx")));
    }
}

#[test]
fn an_architecture_is_a_part_of_the_identity_of_the_rows_that_choose_it() {
    let identity = |plan: &Plan, row: &str| {
        let method = plan.methods.iter().find(|method| *method.entry.name == *row).unwrap();
        let config = plan.run_config(method, 0, &DataIdentity::default());
        serde_json::to_value(&config.network).unwrap()
    };
    for profile in [None, Some("smoke"), Some("quick"), Some("paper")] {
        let plan = load("architectures", profile, &[]);
        // The rows of Table 1 are those of Table 1, whatever settings the architectures of other rows have.
        for row in ["independent", "joint", "mtcool"] {
            assert_eq!(identity(&plan, row), identity(&load("table1", profile, &[]), row), "{row}");
            assert!(identity(&plan, row).get("architecture").is_none());
        }
        assert_eq!(identity(&plan, "mmoe")["mmoe"]["experts"], 3);
        assert_eq!(identity(&plan, "cross_stitch")["cross_stitch"]["per"], "layer");
        assert!(identity(&plan, "mmoe").get("cgc").is_none() && identity(&plan, "mtan").get("mmoe").is_none());
        for row in OTHERS {
            assert_eq!(identity(&plan, row)["architecture"], row);
        }
    }
    // Defaults are filled in, so that they are the same run, written or not.
    let plan = load("table1", None, &["network.architecture=cgc"]);
    let written =
        load("table1", None, &["network.architecture=cgc", "network.cgc={ shared_experts = 1, task_experts = 1 }"]);
    assert_eq!(network_of(&plan, "joint"), network_of(&written, "joint"));
    let others = load("table1", None, &["network.architecture=cgc", "network.cgc.task_experts=2"]);
    assert_ne!(network_of(&plan, "joint"), network_of(&others, "joint"));
}

#[test]
fn what_does_not_fit_is_refused_before_any_data_is_read() {
    let lab = Lab::new();
    let refused = |settings: &[&str], parts: &[&str]| {
        let mut further = vec!["--methods", "joint"];
        further.extend(settings.iter().flat_map(|setting| ["--set", *setting]));
        fail(&mut lab.reproduce("results", &further), parts);
    };
    refused(&["network.architecture=cross-stich"], &["network.architecture", "cross_stitch"]);
    refused(&["network.architecture=mmoe", "network.mmoe.experts=0"], &["`network.mmoe.experts` is 0", "1 to 64"]);
    refused(&["network.architecture=mmoe", "network.mmoe.expert=2"], &["network.mmoe", "expert", "experts"]);
    refused(&["network.architecture=cgc", "network.cgc.task_experts=0"], &["`network.cgc.task_experts` is 0"]);
    refused(
        &["network.architecture=cross_stitch", "network.cross_stitch.own=1.5"],
        &["`network.cross_stitch.own` is 1.5", "0 to 1"],
    );
    refused(
        &["network.architecture=cross_stitch", "network.allocation=[2, 1]"],
        &["`network.allocation`", "leave it out"],
    );
    refused(
        &["network.architecture=mtan", "network.fusion=cross_stitch"],
        &["`network.fusion` is `cross_stitch`", "expected `concat`"],
    );
    let mut command = lab.mtcool(&REFUGE);
    command.args(["--methods", "joint", "--results", "results", "--set", "network.architecture=mmoe"]);
    fail(&mut command, &["`network.architecture` is `mmoe`", "the network `unet` does not have", "mtan"]);
}
