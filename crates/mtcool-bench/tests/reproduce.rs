//! A whole table on a small synthetic data set: its files, its numbers, and which runs are executed again.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use common::{Lab, fail, succeed, text};
use mtcool_bench::Registry;
use mtcool_bench::plan::{Overrides, Plan};
use polars::prelude::{CsvReader, DataFrame, ParquetReader, SerReader};

const METHODS: [&str; 9] =
    ["independent", "vanilla", "no_regularizer", "mtcool", "joint", "mgda", "pcgrad", "graddrop", "cagrad"];

fn figure(frame: &DataFrame, column: &str, row: usize) -> f64 {
    frame.column(column).unwrap().f64().unwrap().get(row).unwrap()
}

#[test]
fn the_table_holds_every_method_and_what_its_runs_measured() {
    let lab = Lab::new();
    let printed = succeed(&mut lab.reproduce("results", &["--seeds", "2"]));
    let table = lab.path().join("results/table1");
    assert_eq!(std::fs::read_to_string(table.join("table.md")).unwrap(), printed);
    assert!(printed.contains("SYNTHETIC DATA") && printed.contains("not comparable"), "{printed}");
    // The paper's results are left out, since these digits are not MNIST's.
    assert!(printed.contains("The paper's results are not shown: ours belong to synthetic data."), "{printed}");
    assert!(!printed.contains("99.72 ± 0.040") && !printed.contains("| paper") && !printed.contains('{'), "{printed}");
    assert!(printed.contains("Params: number of parameters divided by that of Joint's network."), "{printed}");
    assert!(printed.contains("Holm's correction for all 16 comparisons"), "{printed}");

    let parquet =
        ParquetReader::new(Cursor::new(std::fs::read(table.join("table.parquet")).unwrap())).finish().unwrap();
    let csv = CsvReader::new(Cursor::new(std::fs::read(table.join("table.csv")).unwrap())).finish().unwrap();
    assert_eq!((parquet.height(), csv.height()), (2 * METHODS.len(), 2 * METHODS.len()));
    for (index, method) in METHODS.iter().enumerate() {
        for (task, name) in ["even", "odd"].iter().enumerate() {
            let at = 2 * index + task;
            assert_eq!(parquet.column("method").unwrap().str().unwrap().get(at), Some(*method));
            let values: Vec<f64> = (0..2)
                .map(|seed| {
                    let rows = lab.rows("results", &format!("{method}-s{seed}"));
                    let cell = |row: &&mtcool_bench::record::Row| {
                        row.split == "test" && row.metric == "accuracy" && row.task == *name
                    };
                    assert_eq!(rows.iter().filter(cell).count(), 1, "the test split is read once");
                    rows.iter().find(cell).unwrap().value
                })
                .collect();
            let mean = (values[0] + values[1]) / 2.0;
            let std = (values[0] - values[1]).abs() / 2f64.sqrt();
            for frame in [&parquet, &csv] {
                assert!((figure(frame, "mean", at) - mean).abs() < 1e-9);
                assert!((figure(frame, "std", at) - std).abs() < 1e-9);
            }
        }
        for task in 0..2 {
            let at = 2 * index + task;
            let verdict = parquet.column("verdict").unwrap().str().unwrap().get(at);
            assert_eq!(verdict, Some("cannot be compared"), "{method}");
            assert_eq!(parquet.column("difference").unwrap().f64().unwrap().get(at), None, "{method}");
        }
        // The shared network has 21,840 parameters; Independent has two whole networks with one head each.
        let params = if *method == "independent" { 2.0 * 21_585.0 / 21_840.0 } else { 1.0 };
        assert!((figure(&parquet, "params", 2 * index) - params).abs() < 1e-12, "{method}");
    }
    // Over all test images, the paired difference equals the difference of the means.
    let (_, paired) = printed.split_once("### Paired").unwrap();
    let of_mtcool = 2 * METHODS.iter().position(|method| *method == "mtcool").unwrap();
    for (index, label) in [(0, "Independent"), (4, "Joint"), (8, "CAGrad")] {
        let line = paired.lines().find(|line| line.starts_with(&format!("| {label} "))).unwrap();
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        for task in 0..2 {
            let difference = figure(&csv, "mean", of_mtcool + task) - figure(&csv, "mean", 2 * index + task);
            let shown: f64 = cells[2 + 2 * task].parse().unwrap();
            let p: f64 = cells[3 + 2 * task].trim_start_matches('<').parse().unwrap();
            assert!((shown - difference).abs() <= 0.005 + 1e-9, "{line}");
            assert!((0.0..=1.0).contains(&p), "{line}");
        }
    }
    let page = std::fs::read_to_string(table.join("report.html")).unwrap();
    assert_eq!(page.matches("<table>").count(), 4, "results, claims, paired tests, the share that the clamp moved");
    for words in
        ["MT-COOL", "Every run", "even: weight", "even/odd: cosine of the gradients", "results_version", "processor"]
    {
        assert!(page.contains(words), "no `{words}` in the page");
    }
    assert!(!page.contains("http"), "the page opens offline");
}

#[test]
fn a_model_is_readable_elsewhere_under_the_papers_names() {
    let lab = Lab::new();
    succeed(&mut lab.reproduce("results", &["--methods", "mtcool"]));
    let bytes = std::fs::read(lab.run_folder("results", "mtcool-s0").join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let shapes: BTreeMap<String, Vec<usize>> =
        tensors.iter().map(|(name, view)| (name.to_owned(), view.shape().to_vec())).collect();
    let mut want = BTreeMap::new();
    for task in 0..2 {
        for (name, shape) in [
            ("theta.T.conv1.weight", vec![5, 1, 5, 5]),
            ("theta.T.conv1.bias", vec![5]),
            ("theta.T.conv2.weight", vec![10, 10, 5, 5]),
            ("theta.T.conv2.bias", vec![10]),
            ("theta.T.fc.weight", vec![25, 320]),
            ("theta.T.fc.bias", vec![25]),
            ("phi.T.out.weight", vec![5, 50]),
            ("phi.T.out.bias", vec![5]),
        ] {
            want.insert(name.replace('T', &task.to_string()), shape);
        }
    }
    assert_eq!(shapes, want);
}

#[test]
fn runs_of_several_configurations_lie_side_by_side_and_stay_where_they_are() {
    let lab = Lab::new();
    let run = |further: &[&str]| {
        let arguments = [&["--methods", "joint"], further].concat();
        let output = lab.reproduce("results", &arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr).contains("joint-s0 is finished")
    };
    let model = |folder: &Path| std::fs::read(folder.join("model.safetensors")).unwrap();
    assert!(run(&[]));
    let (first, first_model) = (lab.run_folder("results", "joint-s0"), model(&lab.run_folder("results", "joint-s0")));
    // Fixed checksums determine MNIST's files, so the configuration of a run has no entry `files`.
    let config = std::fs::read_to_string(first.join("config.toml")).unwrap();
    assert!(!config.contains("files"), "{config}");
    let hash = config.lines().find_map(|line| line.strip_prefix("hash = \"")).unwrap();
    assert_eq!(first.file_name().unwrap().to_string_lossy(), format!("joint-s0-{}", &hash[..8]));
    assert!(!run(&["--threads", "1", "--checkpoint-seconds", "1"]), "a finished run was run again");
    assert!(run(&["--set", "method.joint.learning_rate=0.01"]), "a changed config was not run");
    let other = lab.run_folder("results", "joint-s0");
    assert!(other != first && model(&other) != first_model);
    assert!(!run(&[]) && model(&first) == first_model, "the earlier result was lost");

    // Attempts that fail change nothing.
    for wrong in ["network.widths=[1, 20, 50]", "network.fusion=concta", "training.batch_size=5000"] {
        fail(&mut lab.reproduce("results", &["--methods", "joint", "--set", wrong]), &["error"]);
        assert!(model(&first) == first_model);
    }
    // Folders under the names that earlier versions gave are found by their hash, where they are.
    let runs = first.parent().unwrap().to_owned();
    std::fs::rename(&first, runs.join("joint-s0")).unwrap();
    assert!(!run(&[]) && !first.exists() && model(&runs.join("joint-s0")) == first_model);
    std::fs::create_dir(runs.join(".earlier")).unwrap();
    let shelved = runs.join(".earlier").join(format!("joint-s0-{}", &hash[..12]));
    std::fs::rename(runs.join("joint-s0"), &shelved).unwrap();
    assert!(!run(&[]) && !first.exists() && model(&shelved) == first_model);
}

#[test]
fn an_unused_momentum_in_the_file_is_no_change_of_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adamw.toml");
    let table1 = include_str!("../experiments/table1.toml");
    let adamw = table1.replace("momentum = 0.9\n", "momentum = 0.9\noptimizer = \"adamw\"\n");
    assert_ne!(adamw, table1);
    std::fs::write(&path, adamw).unwrap();
    let plan = Plan::load(&Registry::builtin(), path.to_str().unwrap(), &Overrides::default()).unwrap();
    assert_eq!(plan.experiment.training.momentum, None);
    assert!(!plan.experiment.has_changed_settings);
}

#[test]
fn changes_of_a_profiles_settings_are_known() {
    let load = |assignments: &[&str]| {
        let overrides = Overrides {
            profile: Some("paper".into()),
            assignments: assignments.iter().map(|a| (*a).to_owned()).collect(),
        };
        Plan::load(&Registry::builtin(), "table1", &overrides).unwrap().experiment.has_changed_settings
    };
    assert!(!load(&[]) && !load(&["seeds=3", "methods=[\"joint\"]"]));
    for change in ["training.epochs=1", "network.widths=[4, 8, 8]", "method.mtcool.bound=0.5"] {
        assert!(load(&[change]), "{change}");
    }
}

#[test]
fn a_report_follows_the_variables_of_its_run() {
    let lab = Lab::new();
    let mut command =
        lab.mtcool(&["reproduce", "table1", "--results", "results", "--methods", "joint", "--seeds", "1"]);
    command.arg("--data").arg(lab.data()).env("MTCOOL_TRAINING__EPOCHS", "1").env("MTCOOL_TRAINING__BATCH_SIZE", "50");
    let printed = succeed(&mut command);
    assert_eq!(succeed(&mut lab.mtcool(&["report", "table1", "--results", "results"])), printed);
}

#[test]
fn a_report_trains_nothing_and_needs_no_data() {
    let lab = Lab::new();
    let printed = succeed(&mut lab.reproduce("results", &["--methods", "joint,vanilla"]));
    std::fs::remove_dir_all(lab.data()).unwrap();
    std::fs::remove_file(lab.path().join("results/table1/table.csv")).unwrap();
    assert_eq!(succeed(&mut lab.mtcool(&["report", "table1", "--results", "results"])), printed);
    assert!(lab.path().join("results/table1/table.csv").exists());
}

#[test]
fn a_table_says_that_its_rows_come_from_different_revisions() {
    let lab = Lab::new();
    let version = succeed(&mut lab.mtcool(&["--version"]));
    let revision = version.trim_end().trim_end_matches(')').rsplit('(').next().unwrap().to_owned();
    assert!(version.starts_with("mtcool 0.") && revision.len() >= 7, "{version}");
    let printed = succeed(&mut lab.reproduce("results", &["--methods", "joint,vanilla"]));
    assert!(!printed.contains("different revisions"), "{printed}");
    let path = lab.run_folder("results", "joint-s0").join("environment.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(&format!("\"revision\": \"{revision}\"")), "the revision of the build, {revision}: {text}");
    std::fs::write(&path, text.replace(&revision, "0123456789ab")).unwrap();
    // Earlier versions of the program wrote no list of a run's files, by which this change would be found.
    std::fs::remove_file(path.with_file_name("files.json")).unwrap();
    let printed = succeed(&mut lab.mtcool(&["report", "table1", "--results", "results"]));
    assert!(printed.contains("2 different revisions (") && printed.contains("0123456789ab: joint-s0"), "{printed}");
}

#[test]
fn a_run_is_known_by_the_version_of_the_numbers() {
    let lab = Lab::new();
    succeed(&mut lab.reproduce("results", &["--methods", "joint"]));
    let config = std::fs::read_to_string(lab.run_folder("results", "joint-s0").join("config.toml")).unwrap();
    assert!(config.contains(&format!("results_version = {}", mtcool_bench::plan::RESULTS_VERSION)), "{config}");
    assert!(config.contains("[loss.even.cross_entropy]"), "{config}");
}

#[test]
fn settings_can_be_chosen_without_reading_the_test_split() {
    let lab = Lab::new();
    let printed = succeed(&mut lab.reproduce("results", &["--methods", "joint", "--set", "report=validation"]));
    assert!(printed.contains("the test split was not read"), "{printed}");
    let both = ["--methods", "joint,vanilla", "--set", "report=validation"];
    let printed = succeed(&mut lab.reproduce("results", &both));
    assert!(printed.contains("### Paired over validation images"), "{printed}");
    assert!(lab.rows("results", "joint-s0").iter().all(|row| row.split != "test"));
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let lab = Lab::new();
    let epochs = |command: &mut std::process::Command| {
        succeed(command);
        lab.rows("results", "joint-s0").iter().map(|row| row.epoch).max().unwrap()
    };
    let mut command = lab.mtcool(&[
        "reproduce",
        "table1",
        "--results",
        "results",
        "--methods",
        "joint",
        "--set",
        "training.batch_size=100",
    ]);
    command.arg("--data").arg(lab.data()).env("MTCOOL_TRAINING__EPOCHS", "4");
    assert_eq!(epochs(&mut command), 4);
    assert_eq!(epochs(command.args(["--set", "training.epochs=1"])), 1);
}

#[test]
fn methods_are_listed() {
    let printed = succeed(&mut Lab::new().mtcool(&["methods"]));
    for method in METHODS {
        assert!(printed.lines().any(|line| line.starts_with(method)), "{printed}");
    }
    let header = printed.lines().next().unwrap();
    assert!(["NAME", "KIND", "WHAT A STEP NEEDS", "PAPER"].iter().all(|column| header.contains(column)), "{header}");
}

#[test]
fn all_methods_train_with_what_the_experiment_says_of_them() {
    let lab = Lab::new();
    let printed = succeed(&mut lab.reproduce("results", &["--methods", "all", "--set", "training.epochs=1"]));
    let (table, _) = printed.split_once("### ").unwrap();
    let mut rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    let gap = rows.remove(METHODS.len());
    assert!(gap.chars().all(|character| "| ".contains(character)), "no empty row before the second block: {printed}");
    // All that are defined for two tasks.
    let registry = Registry::builtin();
    let entries: Vec<_> = registry.methods().iter().filter(|entry| entry.least_tasks <= 2).collect();
    assert!(entries.len() < registry.methods().len());
    assert_eq!(rows.len(), entries.len(), "{printed}");
    // The methods of the paper come first, in the order of the default table.
    let names = registry.methods()[..METHODS.len()].iter().map(|entry| &*entry.name);
    assert_eq!(names.collect::<Vec<_>>(), METHODS);
    for (entry, row) in entries.into_iter().zip(rows) {
        assert!(row.starts_with(&format!("| {} ", entry.label)), "{}: {row}", entry.name);
        let run = lab.rows("results", &format!("{}-s0", entry.name));
        let losses = run.iter().filter(|row| row.split == "train" && row.metric == "loss");
        assert!(losses.map(|row| row.value).all(|loss| loss > 0.0 && loss < 3.0), "{}", entry.name);
    }
}

#[test]
fn what_the_steps_tell_about_the_tasks_is_recorded() {
    let lab = Lab::new();
    let means = |method: &str, further: &[&str]| {
        let mut arguments = vec!["--methods", method, "--set", "training.epochs=1"];
        arguments.extend(further);
        succeed(&mut lab.reproduce("results", &arguments));
        let rows = lab.rows("results", &format!("{method}-s0"));
        let model =
            std::fs::read(lab.run_folder("results", &format!("{method}-s0")).join("model.safetensors")).unwrap();
        let find = move |task: &str, metric: &str| {
            rows.iter()
                .find(|row| row.split == "train" && row.task == task && row.metric == metric)
                .map(|row| row.value)
        };
        (find, model)
    };
    // Methods that compute the gradients themselves record these numbers without additional cost.
    let (mgda, _) = means("mgda", &[]);
    let weights = mgda("even", "weight").unwrap() + mgda("odd", "weight").unwrap();
    // The weights are those of a convex combination of two gradients, times two.
    assert!((weights - 2.0).abs() < 1e-9, "{weights}");
    assert!(mgda("even", "gradient_norm").unwrap() > 0.0);
    assert!(mgda("even/odd", "gradient_cosine").unwrap().abs() < 1.0);
    assert!((0.0..=1.0).contains(&mgda("even/odd", "gradient_conflict_rate").unwrap()));
    // For other methods they are recorded only on request; the request does not change the training.
    for method in ["joint", "mtcool", "independent"] {
        let (plain, model) = means(method, &[]);
        assert_eq!(plain("even", "gradient_norm"), None, "{method}");
        let (probed, same_model) = means(method, &["--set", "probe_every=4"]);
        assert!(probed("odd", "gradient_norm").unwrap() > 0.0);
        let cosine = probed("even/odd", "gradient_cosine").unwrap();
        assert_eq!(cosine == 0.0, method == "independent", "{cosine}");
        assert!(model == same_model, "the measurement changed the training of {method}");
    }
}

#[test]
fn a_wrapper_takes_the_method_inside_and_its_settings() {
    let lab = Lab::new();
    let run = |further: &[&str]| {
        let mut arguments = vec!["--methods", "f_mtl", "--set", "training.epochs=1"];
        arguments.extend(further);
        succeed(&mut lab.reproduce("results", &arguments));
        std::fs::read_to_string(lab.run_folder("results", "f_mtl-s0").join("config.toml")).unwrap()
    };
    assert!(run(&[]).contains("around = \"joint\""));
    let around = run(&["--set", "method.f_mtl.around=cagrad", "--set", "method.f_mtl.settings.c=0.25"]);
    assert!(around.contains("c = 0.25") && around.contains("rescale = 1"), "{around}");
    fail(
        &mut lab.reproduce("results", &["--methods", "f_mtl", "--set", "method.f_mtl.around=mtcool"]),
        &["method.f_mtl.around", "expected a method that combines gradients or weighs losses"],
    );
}

#[test]
fn flatness_is_measured_once_and_stands_in_the_report() {
    let lab = Lab::new();
    succeed(&mut lab.reproduce("results", &["--methods", "independent,joint,mtcool", "--seeds", "2"]));
    let flatness = |radii: &str| {
        let further = ["--radii", radii, "--draws", "1", "--batches", "1"];
        lab.mtcool(&[&["flatness", "table1", "--results", "results"][..], &further].concat())
    };
    let printed = succeed(&mut flatness("0.05,0.5"));
    for title in ["### even, the other tasks' weights moved", "### odd, its own weights moved", "### Rise and transfer"]
    {
        assert!(printed.contains(title), "no `{title}` in:\n{printed}");
    }
    let rows = |title: &str| -> Vec<Vec<f64>> {
        let (_, rows) = printed.split_once(title).unwrap();
        let lines = rows.lines().filter(|line| line.starts_with("| ")).skip(2).take(3);
        let number = |cell: &str| cell.trim().split(' ').next().unwrap().parse::<f64>().unwrap();
        lines.map(|line| line.split('|').skip(2).take(2).map(number).collect()).collect()
    };
    let [independent, joint, mtcool] = &rows("### even, the other tasks' weights moved")[..] else {
        panic!("{printed}")
    };
    assert_eq!(independent[..], [0.0, 0.0], "the networks of other tasks do not matter:\n{printed}");
    assert!(joint[1] > joint[0] && mtcool[1] > mtcool[0], "a larger half-width does more harm:\n{printed}");
    let page = std::fs::read_to_string(lab.path().join("results/table1/report.html")).unwrap();
    assert!(
        page.contains("<h2>Flatness</h2>") && page.contains("even, its own weights moved"),
        "no flatness in the page"
    );
    // Of these methods, MT-COOL alone has a clamp, and in so few steps it moves nothing in any of the six layers.
    for words in ["| Task, layer      | MT-COOL (Ours) |\n", "| even, all layers | 0.00", "Not shown: 6 layers"] {
        assert!(printed.contains(words), "no `{words}` in:\n{printed}");
    }
    // Its table and the curve of the whole theta say so; there are no charts of layers that all stay at 0.
    for words in ["What the clamp moved, in per cent</h2>", "odd: share of theta that the clamp moved"] {
        assert!(page.contains(words), "no `{words}` in the page");
    }
    assert!(!page.contains("odd: layers of MT-COOL (Ours)"), "charts of zeros");
    let again = flatness("0.05").output().unwrap();
    assert!(again.status.success() && text(&again.stderr).contains("joint-s0 is measured"), "{}", text(&again.stderr));
    fail(&mut flatness("inf"), &["`--radii` has inf"]);
}
