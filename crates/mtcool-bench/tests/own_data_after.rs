//! What a finished run on a folder of one's own is good for: predictions for new pictures, also by several runs together, and its
//! figures on other labelled folders.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::cells::{CELL, Experiment, GRANULES, PRESENT, RATIO, STAGE};
use common::{fail, find_run, mask_values, program_in, succeed, text};
use mtcool_bench::record::{read_data_record, read_rows, read_scores};
use mtcool_data::folder::{FolderSynthesis, synthesize};
use serde_json::Value;
use tempfile::TempDir;

/// An experiment with tasks of every kind.
fn experiment() -> String {
    let ratio = format!("{RATIO}unit = \"share\"\n");
    let (network, settings) = ("widths = [10, 20]", "group = \"patient\"\nsize = [32, 32]");
    let tasks = &[CELL, GRANULES, STAGE, PRESENT, &ratio];
    Experiment { method: "joint", network, further: "", settings, tasks }.text()
}

/// Drawn cells in `cells-data`, and an experiment `own.toml` on them.
struct Cells {
    folder: TempDir,
}

impl Cells {
    fn new() -> Self {
        let cells = Self { folder: tempfile::tempdir().unwrap() };
        cells.draw("cells-data", 48, 4);
        cells.write("");
        cells
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn draw(&self, name: &str, cases: usize, seed: u64) {
        synthesize(&self.path(name), FolderSynthesis { cases, side: 32, seed }).unwrap();
    }

    /// Writes the experiment with `further` tables.
    fn write(&self, further: &str) {
        std::fs::write(self.path("own.toml"), experiment() + further).unwrap();
    }

    fn mtcool(&self, arguments: &[&str]) -> Command {
        let mut command = program_in(self.folder.path());
        command.args(arguments);
        command
    }

    /// The folder of a run such as `joint-s0`, relative to the folder of the test.
    fn run(&self, run: &str) -> String {
        let folder = find_run(&self.path("results/own"), run);
        format!("results/own/runs/{}", folder.file_name().unwrap().to_string_lossy())
    }

    /// What `mtcool predict` prints, one value per picture.
    fn predict(&self, arguments: &[&str]) -> Vec<Value> {
        let printed = succeed(self.mtcool(&["predict"]).args(arguments));
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The cells of a CSV file without quotes, by the names of its columns.
fn csv(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let head = lines.next().unwrap();
    lines.map(|cells| head.iter().cloned().zip(cells).collect()).collect()
}

#[test]
fn every_task_is_predicted_for_pictures_of_any_size_and_several_runs_are_averaged() {
    let cells = Cells::new();
    succeed(&mut cells.mtcool(&["reproduce", "own.toml", "--seeds", "2"]));
    let [first, second] = ["joint-s0", "joint-s1"].map(|run| cells.run(run));
    let record = read_data_record(&cells.path(&first)).unwrap().unwrap();
    let picture = |case: &str| format!("cells-data/images/{case}.png");
    let (tested, trained) = (picture(&record.test[0]), picture(&record.train[0]));
    let large = image::open(cells.path(&tested)).unwrap().resize_exact(96, 64, image::imageops::FilterType::Nearest);
    large.save(cells.path("large.png")).unwrap();

    let lines = cells.predict(&["--run", &first, "--out", "one", "--probabilities", &tested, &trained, "large.png"]);
    for (line, size) in lines.iter().zip([[32, 32], [32, 32], [96, 64]]) {
        // The masks of grey classes have the classes' own values; the palette of coloured classes has their colours.
        let (mask, mask_size) = mask_values(&cells.path(line["cell"].as_str().unwrap()));
        assert!(mask_size == size && mask.iter().all(|value| [0, 128, 255].contains(value)), "{line}");
        let legend: Vec<u64> =
            line["legend"]["cell"].as_array().unwrap().iter().map(|entry| entry["value"].as_u64().unwrap()).collect();
        assert_eq!(legend, [0, 128, 255]);
        let share = mask.iter().filter(|value| **value == 128).count() as f64 / mask.len() as f64;
        assert!((number(&line["shares"]["cell"]["cytoplasm"]) - share).abs() < 1e-12);
        let (granules, granules_size) = mask_values(&cells.path(line["granules"].as_str().unwrap()));
        assert!(granules_size == size && granules.iter().all(|value| *value < 3));
        assert_eq!(line["legend"]["granules"][1]["colour"], "#0000ff");
        let stages = ["resting", "growing", "dividing"];
        let stage = stages.map(|stage| number(&line["probabilities"]["stage"][stage]));
        assert!((stage.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let most = (0..3).max_by(|a, b| stage[*a].total_cmp(&stage[*b])).unwrap();
        assert_eq!(line["classes"]["stage"], stages[most]);
        let properties = ["red_granules", "blue_granules"];
        let present = properties.into_iter().filter(|name| number(&line["probabilities"]["present"][*name]) >= 0.5);
        assert_eq!(line["classes"]["present"], serde_json::json!(present.collect::<Vec<_>>()));
        assert_eq!(line["units"]["ratio"], "share");
    }
    // A picture of the test part is seen as in the run's own test.
    let (case, own) = &read_scores(&cells.path(&first), "ratio", "predicted").unwrap()[0];
    let again = &cells.predict(&["--run", &first, "--out", "one", &picture(case)])[0];
    assert!((number(&again["values"]["ratio"]) - own).abs() < 1e-4, "{again} {own}");
    let (known, notices) = (&lines[1]["known_as"], lines[1]["notices"].to_string());
    assert!(known["part"] == "train" && notices.contains("the network was trained on it"), "{notices}");
    assert_eq!((&lines[0]["known_as"]["part"], &lines[2]["known_as"]), (&Value::from("test"), &Value::Null));
    let table = csv(&cells.path("one/predictions.csv"));
    let row = table.iter().find(|row| row["image"] == "large.png").unwrap();
    assert_eq!(row["values.ratio"].parse::<f64>().unwrap(), number(&lines[2]["values"]["ratio"]));
    for column in
        ["cell", "granules", "classes.stage", "probabilities.stage.growing", "units.ratio", "shares.cell.nucleus"]
    {
        assert!(!row[column].is_empty(), "{column}: {row:?}");
    }

    // A folder stands for the pictures in it.
    std::fs::create_dir(cells.path("new")).unwrap();
    std::fs::copy(cells.path("large.png"), cells.path("new/ä 1.PNG")).unwrap();
    std::fs::write(cells.path("new/notes.txt"), "no picture").unwrap();
    let of_folder = cells.predict(&["--run", &first, "--out", "three", "new", &tested]);
    assert_eq!((of_folder.len(), &of_folder[0]["values"]), (2, &lines[2]["values"]));
    assert_eq!(of_folder[0]["image"], "new/ä 1.PNG");

    let other = &cells.predict(&["--run", &second, "--out", "two", "--probabilities", "large.png"])[0];
    let both = ["--run", "results/own/runs/joint-*", "--out", "both", "--probabilities", "large.png"];
    let both = &cells.predict(&both)[0];
    assert_eq!(both["run"], serde_json::json!([first, second]));
    let pairs = [("probabilities", "stage", "growing"), ("probabilities", "present", "red_granules")];
    for (kind, task, class) in pairs {
        let of = |line: &Value| number(&line[kind][task][class]);
        assert!((of(both) - (of(&lines[2]) + of(other)) / 2.0).abs() < 1e-12, "{task}");
    }
    let ratio = |line: &Value| number(&line["values"]["ratio"]);
    assert!((ratio(both) - (ratio(&lines[2]) + ratio(other)) / 2.0).abs() < 1e-12);
    let plane = |line: &Value| {
        let file = line["probability_maps"]["cell"]["nucleus"].as_str().unwrap();
        image::open(cells.path(file)).unwrap().into_luma16().into_raw()
    };
    let (of_both, one, two) = (plane(both), plane(&lines[2]), plane(other));
    assert_ne!(one, two);
    for (both, (one, two)) in of_both.iter().zip(one.iter().zip(&two)) {
        assert!((f64::from(*both) - (f64::from(*one) + f64::from(*two)) / 2.0).abs() <= 1.0);
    }

    let only = &cells.predict(&["--run", &first, "--out", "only", "--tasks", "ratio,stage", &tested])[0];
    assert!(only.get("cell").is_none() && only["probabilities"].get("present").is_none() && ratio(only).is_finite());
    std::fs::write(cells.path("text.png"), "no picture").unwrap();
    let refused = |arguments: &[&str], parts: &[&str]| {
        let command = &mut cells.mtcool(&["predict", "--out", "none"]);
        fail(command.args(arguments), parts);
    };
    refused(&["--run", &first, "--run", &first, &tested], &["twice"]);
    refused(&["--run", "results/own/runs/mtcool-*", &tested], &["no finished run fits", "mtcool-*"]);
    refused(&["--run", &first, &second], &["is the folder of a run", "pattern in quotes"]);
    refused(&["--run", &first, "--tasks", "cells", &tested], &["`--tasks` names `cells`", "cell, granules, stage"]);
    refused(&["--run", &first, "text.png"], &["text.png"]);
    refused(&["--run", &first, "results"], &["`results` is a folder without pictures"]);
    refused(&["--run", &first, "--centre", "1,2", &tested], &["`--centre` does not apply"]);
    // Runs with other tasks cannot predict together.
    let all = experiment();
    let fewer = all.split("[[default.data.settings.tasks]]\nname = \"ratio\"").next().unwrap();
    std::fs::write(cells.path("few.toml"), fewer.replace("widths = [10, 20]", "widths = [8, 16]")).unwrap();
    succeed(&mut cells.mtcool(&["reproduce", "few.toml"]));
    refused(&["--run", &first, "--run", "results/few/runs/joint-*", &tested], &["other tasks", "one experiment"]);
}

#[test]
fn tasks_with_pictures_of_their_own_are_named_for_a_prediction() {
    let cells = Cells::new();
    let ratio = "[[default.data.settings.tasks]]\nname = \"ratio\"\n";
    let others = experiment().replace(ratio, &format!("{ratio}images = \"others/{{case}}.png\"\n"));
    let (images, others_folder) = (cells.path("cells-data/images"), cells.path("cells-data/others"));
    std::fs::create_dir(&others_folder).unwrap();
    for entry in std::fs::read_dir(&images).unwrap() {
        let picture = image::open(entry.as_ref().unwrap().path()).unwrap().fliph();
        picture.save(others_folder.join(entry.unwrap().file_name())).unwrap();
    }
    std::fs::write(cells.path("own.toml"), others).unwrap();
    succeed(&mut cells.mtcool(&["reproduce", "own.toml"]));
    let run = cells.run("joint-s0");
    let picture = "cells-data/others/cell_00000.png";
    let parts = ["`cell` are others than those of `ratio`", "`--tasks cell`"];
    fail(&mut cells.mtcool(&["predict", "--run", &run, picture]), &parts);
    let line = &cells.predict(&["--run", &run, "--tasks", "ratio", picture])[0];
    assert!(number(&line["values"]["ratio"]).is_finite() && line.get("cell").is_none(), "{line}");
}

/// Name, length and content of every file of a run.
fn content(run: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut content = BTreeMap::new();
    let mut folders = vec![run.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                content.insert(path.clone(), std::fs::read(path).unwrap());
            }
        }
    }
    content
}

/// The values of a run's split by task and metric, without losses.
fn metrics(run: &Path, split: &str) -> BTreeMap<(String, String), f64> {
    let rows = read_rows(&run.join("metrics.parquet")).unwrap().into_iter();
    rows.filter(|row| row.split == split && row.metric != "loss")
        .map(|row| ((row.task, row.metric), row.value))
        .collect()
}

/// The values in the file that `mtcool evaluate` wrote.
fn evaluated(path: &Path) -> BTreeMap<(String, String), f64> {
    let lines = csv(path).into_iter();
    lines.map(|line| ((line["task"].clone(), line["metric"].clone()), line["value"].parse().unwrap())).collect()
}

#[test]
fn an_evaluation_of_the_test_cases_equals_the_runs_own_test() {
    let cells = Cells::new();
    succeed(&mut cells.mtcool(&["reproduce", "own.toml"]));
    let run = cells.run("joint-s0");
    let record = read_data_record(&cells.path(&run)).unwrap().unwrap();
    let table = std::fs::read_to_string(cells.path("cells-data/labels.csv")).unwrap();
    let (head, rows) = table.split_once('\n').unwrap();
    // The test cases of the table, without the column of the patients, which an evaluation does not need.
    let without_patient = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        [&cells[..1], &cells[2..]].concat().join(",")
    };
    let is_tested = |line: &&str| record.test.iter().any(|case| line.starts_with(&format!("{case},")));
    let tested: Vec<String> =
        std::iter::once(head).chain(rows.lines().filter(is_tested)).map(without_patient).collect();
    std::fs::write(cells.path("cells-data/test.csv"), tested.join("\n")).unwrap();
    let before = content(&cells.path(&run));
    let evaluate = |further: &[&str]| {
        let mut command = cells.mtcool(&["evaluate", "--run", &run]);
        command.args(further);
        command
    };
    let printed = succeed(&mut evaluate(&["--data", "cells-data", "--set", "table=test.csv"]));
    assert!(printed.contains("dice_nucleus") && printed.contains("joint-s0"), "{printed}");
    let (found, own) = (evaluated(&cells.path("evaluation.csv")), metrics(&cells.path(&run), "test"));
    assert!(own.len() > 20);
    assert_eq!(found.keys().collect::<Vec<_>>(), own.keys().collect::<Vec<_>>());
    for (key, value) in &own {
        assert_eq!(found[key].to_bits(), value.to_bits(), "{key:?}: {} instead of {value}", found[key]);
    }

    // Without a table there are masks alone: the other tasks are left out, and a note says so.
    let output = evaluate(&["--data", "cells-data", "--set", "table=", "--out", "masks.csv"]).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("`stage`, `present`, `ratio`: not measured"), "{said}");
    assert!(said.contains("some belong to the run's own data") && said.contains("to the training part"), "{said}");
    let tasks: std::collections::BTreeSet<String> =
        evaluated(&cells.path("masks.csv")).into_keys().map(|(task, _)| task).collect();
    assert_eq!(tasks.into_iter().collect::<Vec<_>>(), ["cell", "granules"]);
    assert_eq!(content(&cells.path(&run)), before, "the run's own files stay as they are");

    std::fs::write(cells.path("mine.csv"), "case,age\n").unwrap();
    let inside = format!("{run}/figures.csv");
    for (arguments, parts) in [
        (vec!["--data", "nowhere"], vec!["there is no folder `nowhere`"]),
        (vec!["--data", "cells-data", "--set", "image=a"], vec!["unknown key `image`", "`images`"]),
        (vec!["--data", "cells-data", "--set", "tasks.cells.mask=a"], vec!["unknown task `cells`", "`cell`"]),
        (vec!["--data", "cells-data", "--set", "images=none/{case}.png"], vec!["none/{case}.png", "matches no file"]),
        (vec!["--data", "cells-data", "--set", "scale=2.0"], vec!["`scale` is 2", "resize"]),
        (vec!["--data", "cells-data", "--out", "mine.csv"], vec!["`mine.csv`", "did not write it"]),
        (vec!["--data", "cells-data", "--out", &inside], vec!["folder of a run"]),
    ] {
        fail(&mut evaluate(&arguments), &parts);
    }
    fail(&mut cells.mtcool(&["evaluate", "--run", "results", "--data", "cells-data"]), &["holds a finished run"]);
}

#[test]
fn external_folders_are_measured_once_and_shown_below_the_table() {
    let cells = Cells::new();
    cells.draw("far-data", 36, 9);
    // The other hospital names its images and a column otherwise.
    std::fs::rename(cells.path("far-data/images"), cells.path("far-data/scans")).unwrap();
    let table = std::fs::read_to_string(cells.path("far-data/labels.csv")).unwrap();
    std::fs::write(cells.path("far-data/labels.csv"), table.replace("stage", "phase")).unwrap();
    let external = |rest: &str| format!("\n[[default.external]]\nname = \"far\"\nfolder = \"far-data\"\n{rest}\n");
    cells.write(&external("image = \"scans/{case}.png\""));
    fail(&mut cells.mtcool(&["reproduce", "own.toml"]), &["external.far", "unknown key `image`"]);
    cells.write(&external("images = \"scan/{case}.png\""));
    fail(&mut cells.mtcool(&["reproduce", "own.toml"]), &["external.far", "matches no file", "scan/{case}.png"]);
    assert!(find_run(&cells.path("results/own"), "joint-s0").metadata().is_err(), "a mistake is told before training");

    cells.write("");
    succeed(&mut cells.mtcool(&["reproduce", "own.toml", "--seeds", "2"]));
    let run = cells.path(&cells.run("joint-s0"));
    let before = content(&run);
    // A folder that is named later needs no training.
    cells.write(&external("images = \"scans/{case}.png\"\n"));
    let shown = succeed(&mut cells.mtcool(&["report", "own.toml"]));
    let (_, below) = shown.split_once("### External test: far (`far-data`)").unwrap();
    let line = below.lines().find(|line| line.starts_with("| Joint ")).unwrap();
    assert!(line.trim_end().ends_with("| 2    |"), "{line}");
    assert!(below.contains("nucleus Dice") && !below.split("\n- ").next().unwrap().contains("stage AUROC"), "{below}");
    assert!(below.contains("cell 36") && below.contains("`stage`: not measured"), "{below}");
    let mut after = content(&run);
    assert!(after.remove(&run.join("external-far.json")).is_some());
    assert_eq!(after, before, "nothing else was written");

    // The figures are those of `evaluate`, and stand in `runs.csv` as a split of their own.
    let arguments = ["--set", "images=scans/{case}.png", "--out", "far.csv"];
    succeed(cells.mtcool(&["evaluate", "--run", &cells.run("joint-s0"), "--data", "far-data"]).args(arguments));
    let found = evaluated(&cells.path("far.csv"));
    let rows = csv(&cells.path("results/own/runs.csv"));
    let rows: Vec<_> = rows.iter().filter(|row| row["split"] == "external:far" && row["seed"] == "0").collect();
    assert_eq!(rows.len(), found.len());
    for row in rows {
        let value: f64 = row["value"].parse().unwrap();
        assert_eq!(found[&(row["task"].clone(), row["metric"].clone())], value);
    }
    let figures = csv(&cells.path("results/own/external.csv"));
    let dice = figures.iter().find(|row| row["metric"] == "dice_nucleus").unwrap();
    assert_eq!((dice["external"].as_str(), dice["runs"].as_str(), dice["cases"].as_str()), ("far", "2", "36"));
    let page = std::fs::read_to_string(cells.path("results/own/report.html")).unwrap();
    assert!(page.contains("External test: far"));

    // Another layout is measured again; the same one is not.
    let written = |run: &Path| run.join("external-far.json").metadata().unwrap().modified().unwrap();
    let earlier = written(&run);
    succeed(&mut cells.mtcool(&["reproduce", "own.toml", "--seeds", "2"]));
    assert_eq!(written(&run), earlier);
    cells.write(&external("images = \"scans/{case}.png\"\ntasks.stage.column = \"phase\"\n"));
    let shown = succeed(&mut cells.mtcool(&["reproduce", "own.toml", "--seeds", "2"]));
    let (_, below) = shown.split_once("### External test").unwrap();
    assert!(below.contains("stage AUROC") && !below.contains("not measured"), "{below}");
    assert!(written(&run) > earlier);
}

#[test]
fn folds_predict_together_and_are_measured_by_their_own_standards() {
    let cells = Cells::new();
    cells.draw("far-data", 36, 9);
    let further = "\n[[default.external]]\nname = \"far\"\nfolder = \"far-data\"\n";
    let folds = experiment() + further;
    let folds = folds.replace("size = [32, 32]", "size = [32, 32]\nsplit = { folds = 3, validation = 0.2 }");
    std::fs::write(cells.path("own.toml"), folds).unwrap();
    let shown = succeed(&mut cells.mtcool(&["reproduce", "own.toml", "--seeds", "3"]));
    assert!(shown.contains("### External test: far"), "{shown}");
    let runs = [0, 1, 2].map(|seed| cells.run(&format!("joint-s{seed}")));
    let records = runs.each_ref().map(|run| read_data_record(&cells.path(run)).unwrap().unwrap());
    assert_ne!(records[0].test, records[1].test, "the record of a run names its own fold");
    // A case of one fold's test part was trained on by others.
    let picture = format!("cells-data/images/{}.png", records[0].test[0]);
    let alone = &cells.predict(&["--run", &runs[0], "--out", "alone", &picture])[0];
    assert_eq!(alone["known_as"]["part"], "test");
    let all = &cells.predict(&["--run", "results/own/runs/joint-s*", "--out", "all", &picture])[0];
    assert_eq!((all["run"].as_array().unwrap().len(), &all["known_as"]["part"]), (3, &Value::from("train")));
}
