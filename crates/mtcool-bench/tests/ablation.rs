//! The ablation: rows that differ in one factor, also in their training and in their network.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::{Lab, fail, find_run, succeed};
use mtcool_bench::Registry;
use mtcool_bench::plan::{Overrides, Plan, StoredSettings};

fn load(profile: Option<&str>, assignments: &[&str]) -> Plan {
    let assignments = assignments.iter().map(|assignment| (*assignment).to_owned()).collect();
    let overrides = Overrides { profile: profile.map(str::to_owned), assignments };
    Plan::load(&Registry::builtin(), "ablation", &overrides).unwrap()
}

#[test]
fn every_profile_has_the_rows_of_every_factor() {
    for profile in ["smoke", "quick", "long", "paper"] {
        let plan = load(Some(profile), &[]);
        let row = |name: &str| plan.methods.iter().find(|method| *method.entry.name == *name).unwrap();
        for factor in &plan.experiment.factors {
            assert!(
                factor.rows.len() > 1 && factor.rows.iter().chain(&factor.against).all(|name| row(name).like.len() > 1)
            );
        }
        let (mtcool, epochs) = (row("mtcool"), plan.experiment.training.epochs);
        // The factors of the length keep their meaning in every profile.
        for (name, times) in [("joint_x2", 2), ("joint_x4", 4), ("independent_x2", 2), ("independent_x4", 4)] {
            assert_eq!(row(name).training.epochs, times * epochs, "{profile}: {name}");
        }
        let warmup = |name: &str| row(name).settings.describe()["warmup_iterations"].as_u64().unwrap() as f64;
        assert!((warmup("tw_eighth") / warmup("mtcool") - 0.25).abs() < 0.06, "{profile}");
        assert!((warmup("tw_most") / warmup("mtcool") - 1.5).abs() < 0.06, "{profile}");
        assert_eq!((row("momentum_0").training.momentum, mtcool.training.momentum), (Some(0.0), Some(0.9)));
        assert_eq!((row("stitch").network.fusion.as_str(), mtcool.network.fusion.as_str()), ("cross_stitch", "concat"));
        assert_eq!(row("width_03").settings.describe()["bound_unit"].as_str(), Some("initial_width"));
        // The usual unit is no part of a run's identity, so that runs of earlier versions are found.
        for key in ["bound_unit", "perturbed", "clamped_velocity"] {
            assert!(mtcool.settings.describe().get(key).is_none(), "{key}");
        }
        assert_eq!(row("weights_only").settings.describe()["perturbed"].as_str(), Some("weights"));
        assert_eq!(row("velocity_stops").settings.describe()["clamped_velocity"].as_str(), Some("stops"));
        assert_eq!(plan.experiment.report.name(), "validation");
    }
}

#[test]
fn its_smoke_profile_runs_and_shows_each_factor() {
    let lab = Lab::new();
    let rows = "mtcool,m_4,width_03,width_1,weights_only,velocity_stops,stitch,joint,joint_x2,momentum_0";
    let command = ["reproduce", "ablation", "--profile", "smoke", "--methods", rows, "--results", "results"];
    let printed = succeed(&mut lab.mtcool(&command));
    assert!(printed.contains("b 0.3 of width") && printed.contains("Joint, 2x epochs"), "{printed}");
    let folder = lab.path().join("results/ablation");
    let config = |run: &str| {
        let text = std::fs::read_to_string(find_run(&folder, run).join("config.toml")).unwrap();
        StoredSettings::parse(&text).unwrap().settings()
    };
    assert_eq!(config("joint_x2-s0")["training.epochs"], "4");
    assert_eq!(
        (config("joint-s0")["training.epochs"].as_str(), config("joint-s0")["report"].as_str()),
        ("2", "\"validation\"")
    );
    assert_eq!(config("stitch-s0")["network.fusion"], "\"cross_stitch\"");
    assert_eq!(config("momentum_0-s0")["training.momentum"], "0.0");
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    for words in
        ["One factor at a time", "b relative to the initial widths: ", "M, draws of the noise (MT-COOL has 2): "]
    {
        assert!(page.contains(words), "no `{words}` in the page");
    }
    // Of some factors, one value alone has runs.
    assert!(!page.contains("L, inner iterations"), "an empty factor is shown");
    // Flatness is measured on the network that a row has.
    let measured =
        ["flatness", "ablation", "--results", "results", "--radii", "0.05", "--draws", "1", "--batches", "1"];
    assert!(succeed(&mut lab.mtcool(&measured)).contains("cross-stitch"));
}

#[test]
fn what_a_variant_changes_in_training_and_network_is_checked() {
    let lab = Lab::new();
    let variant = |keys: &str| format!("method.v={{ like = \"joint\", {keys} }}");
    for (keys, parts) in [
        ("training = { epoch = 3 }", &["`method.v.training.epoch`", "unknown key", "`epochs`"][..]),
        ("training = { epochs = 0 }", &["method.v", "`training.epochs` is 0"]),
        ("training = { momentum = 1.5 }", &["method.v", "`momentum` is 1.5"]),
        ("training = 3", &["method.v.training"]),
        ("network = { fusion = \"concta\" }", &["method.v", "concta"]),
        ("network = { widths = [1, 20, 50] }", &["method.v", "needs at least one"]),
        ("network = { kind = \"unet\" }", &["`method.v.network.kind`"]),
    ] {
        let assignment = variant(keys);
        fail(&mut lab.reproduce("results", &["--methods", "v", "--set", &assignment]), parts);
    }
    // So is what a method's own table changes, such as what a search has found.
    fail(
        &mut lab.reproduce("results", &["--methods", "joint", "--set", "method.joint.training.epoch=3"]),
        &["`method.joint.training.epoch`", "unknown key", "`epochs`"],
    );
    fail(
        &mut lab.reproduce("results", &["--set", "factors=[{ title = \"x\", rows = [\"jiont\"] }]"]),
        &["`factors[0].rows`", "jiont"],
    );
}
