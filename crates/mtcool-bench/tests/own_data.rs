//! A folder of one's own: tasks of all kinds and any number, missing labels, cross-validation, mistakes.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::cells::{CELL, Experiment, GRANULES, PRESENT, RATIO, STAGE};
use common::{fail, mask_values, program_in, succeed, text};
use mtcool_bench::record::{Row, read_rows};
use mtcool_data::folder::{FolderSynthesis, synthesize};
use tempfile::TempDir;

/// The drawn example, small, and an experiment on it.
struct Own {
    folder: TempDir,
}

impl Own {
    /// An example of `cases` drawn cells.
    fn new(cases: usize) -> Self {
        Self::drawn(cases, 32)
    }

    /// An example of `cases` drawn cells of `side` pixels.
    fn drawn(cases: usize, side: usize) -> Self {
        let own = Self { folder: tempfile::tempdir().unwrap() };
        synthesize(&own.data(), FolderSynthesis { cases, side, seed: 4 }).unwrap();
        own
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.path().join("cells-data")
    }

    /// Writes the experiment `own.toml`: `settings` are further lines of `data.settings`, `tasks` the tasks, `further` further
    /// tables.
    fn write(&self, settings: &str, tasks: &[&str], further: &str) {
        let widths = (1..).map(|factor| factor * tasks.len()).find(|width| *width >= 8).unwrap();
        let experiment = Experiment {
            method: "joint",
            network: &format!("widths = [{widths}, {}]", 2 * widths),
            further,
            settings: &format!("size = [32, 32]\n{settings}"),
            tasks,
        };
        std::fs::write(self.path().join("own.toml"), experiment.text()).unwrap();
    }

    fn mtcool(&self, arguments: &[&str]) -> Command {
        let mut command = program_in(self.path());
        command.args(arguments);
        command
    }

    /// The table that `reproduce own.toml` prints.
    fn reproduce(&self, arguments: &[&str]) -> String {
        succeed(self.mtcool(&["reproduce", "own.toml"]).args(arguments))
    }

    /// The folder of the only run of `method` with `seed`.
    fn run(&self, method: &str, seed: u64) -> PathBuf {
        let runs = std::fs::read_dir(self.path().join("results/own/runs")).unwrap();
        let start = format!("{method}-s{seed}");
        let is_it = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            path.is_dir() && (name == start || name.starts_with(&format!("{start}-")))
        };
        let found: Vec<PathBuf> = runs.map(|entry| entry.unwrap().path()).filter(is_it).collect();
        assert_eq!(found.len(), 1, "{start}: {found:?}");
        found[0].clone()
    }

    fn rows(&self, method: &str, seed: u64) -> Vec<Row> {
        read_rows(&self.run(method, seed).join("metrics.parquet")).unwrap()
    }
}

#[test]
fn five_tasks_of_all_kinds_with_missing_labels_are_trained_by_every_method() {
    let own = Own::new(48);
    own.write("group = \"patient\"", &[CELL, GRANULES, STAGE, PRESENT, RATIO], "");
    // In small batches, many have no label of a task.
    let table = own.reproduce(&["--methods", "all", "--set", "training.batch_size=2"]);
    for part in ["cytoplasm Dice", "stage AUROC", "present AUROC", "ratio error", "labels of each task", "granules "] {
        assert!(table.contains(part), "no `{part}` in:\n{table}");
    }
    // Errors of numbers are means over cases, AUROCs are not.
    let paired = table.split("### Paired over").nth(1).unwrap();
    assert!(paired.lines().nth(2).unwrap().contains("ratio error"), "{paired}");
    let untested = paired.split("Not tested, since").nth(1).unwrap();
    assert!(untested.contains("stage AUROC") && !untested.lines().next().unwrap().contains("ratio error"), "{paired}");
    let methods = succeed(&mut own.mtcool(&["methods"]));
    let names: Vec<&str> = methods.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 15, "{methods}");
    for method in names {
        let rows = own.rows(method, 0);
        let bad: Vec<&Row> = rows.iter().filter(|row| !row.value.is_finite()).collect();
        assert!(bad.is_empty(), "{method}: {bad:?}");
        let has = |task: &str, metric: &str, split: &str| {
            assert!(
                rows.iter().any(|row| row.task == task && row.metric == metric && row.split == split),
                "{method}: no {metric} of {task} on {split}"
            );
        };
        for (task, metric) in [
            ("cell", "dice_nucleus"),
            ("cell", "hd95_nucleus"),
            ("granules", "iou_red"),
            ("stage", "balanced_accuracy"),
            ("present", "accuracy_red_granules"),
            ("ratio", "mae"),
            ("ratio", "r2"),
        ] {
            has(task, metric, "validation");
            has(task, metric, "test");
        }
    }
}

#[test]
fn one_task_of_each_kind_is_trained_alone_and_joint_and_independent_are_the_same() {
    let own = Own::new(30);
    for (task, metric) in [(CELL, "dice"), (STAGE, "accuracy"), (PRESENT, "accuracy"), (RATIO, "mae")] {
        own.write("", &[task], "");
        let _ = std::fs::remove_dir_all(own.path().join("results"));
        own.reproduce(&["--methods", "joint,independent,mtcool,pcgrad,mgda"]);
        let value = |method: &str| -> Vec<u64> {
            let rows = own.rows(method, 0).into_iter();
            rows.filter(|row| row.metric == metric).map(|row| row.value.to_bits()).collect()
        };
        assert_eq!(value("joint"), value("independent"), "{task}");
        assert_eq!(value("joint").len(), 2, "{task}: validation and test");
    }
}

#[test]
fn tasks_with_pictures_of_their_own_keep_their_own_batches() {
    let own = Own::new(36);
    // Every third case has a second picture, and only that one has a ratio.
    let (images, others) = (own.data().join("images"), own.data().join("others"));
    std::fs::create_dir(&others).unwrap();
    let table = std::fs::read_to_string(own.data().join("labels.csv")).unwrap();
    let lines = table.lines().enumerate().map(|(number, line)| {
        let case = line.split(',').next().unwrap();
        match number {
            0 => format!("{line},other\n"),
            _ if number % 3 == 0 => {
                std::fs::copy(images.join(format!("{case}.png")), others.join(format!("{case}.png"))).unwrap();
                format!("{line},others/{case}.png\n")
            }
            _ => format!("{line},\n"),
        }
    });
    std::fs::write(own.data().join("labels.csv"), lines.collect::<String>()).unwrap();
    let ratio = format!("{RATIO}image_column = \"other\"\n");
    own.write("split = { validation = 0.25, test = 0.25, stratify = \"none\" }", &[CELL, STAGE, &ratio], "");
    own.reproduce(&["--methods", "joint,mtcool,independent", "--set", "training.batch_size=2"]);
    for method in ["joint", "mtcool", "independent"] {
        assert!(own.rows(method, 0).iter().all(|row| row.value.is_finite()), "{method}");
    }
}

/// The cases of the test part that a run has scores of.
fn tested(run: &Path) -> BTreeSet<String> {
    let scores = mtcool_bench::record::read_scores(run, "cell", "dice_nucleus").unwrap();
    scores.into_iter().map(|(case, _)| case).collect()
}

#[test]
fn folds_test_every_case_once_and_keep_groups_together() {
    let own = Own::new(45);
    own.write("group = \"patient\"\nsplit = { folds = 3, validation = 0.2 }", &[CELL, RATIO], "");
    let table = own.reproduce(&["--seeds", "3"]);
    assert!(table.contains("Cross-validation with 3 folds"), "{table}");
    let folds: Vec<BTreeSet<String>> = (0..3).map(|seed| tested(&own.run("joint", seed))).collect();
    assert_eq!(folds.iter().map(BTreeSet::len).sum::<usize>(), 45, "{folds:?}");
    assert_eq!(folds.iter().flatten().collect::<BTreeSet<_>>().len(), 45);
    let labels = std::fs::read_to_string(own.data().join("labels.csv")).unwrap();
    let mut of_patient: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for line in labels.lines().skip(1) {
        let mut cells = line.split(',');
        let (case, patient) = (cells.next().unwrap(), cells.next().unwrap());
        let fold = folds.iter().position(|fold| fold.contains(case)).unwrap();
        of_patient.entry(patient).or_default().insert(fold);
    }
    assert!(of_patient.values().all(|folds| folds.len() == 1), "{of_patient:?}");
}

#[test]
fn without_a_test_part_the_table_shows_the_validation_part_and_says_so() {
    let own = Own::new(30);
    own.write("split = { test = \"none\" }", &[CELL], "");
    let table = own.reproduce(&[]);
    assert!(table.contains("There is no test part"), "{table}");
    assert!(own.rows("joint", 0).iter().all(|row| row.split != "test"));
}

#[test]
fn a_folder_is_inspected_and_its_mistakes_are_told_before_training() {
    let own = Own::new(30);
    own.write("", &[CELL, GRANULES, STAGE, PRESENT, RATIO], "");
    let found = succeed(&mut own.mtcool(&["data", "inspect", "own.toml", "--page", "sheet.html"]));
    for part in ["30 cases", "Task granules (segmentation)", "Task ratio (regression)", "No problem was found"] {
        assert!(found.contains(part), "no `{part}` in:\n{found}");
    }
    let page = std::fs::read_to_string(own.path().join("sheet.html")).unwrap();
    assert!(page.matches("<img").count() >= 24 && !page.contains("http"), "{}", page.len());
    // Its own page is written again, also where nobody reads what is printed; another file is kept.
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    let inspect = || own.mtcool(&["data", "inspect", "own.toml", "--page", "sheet.html"]);
    assert!(inspect().stdout(closed).status().unwrap().success());
    std::fs::write(own.path().join("sheet.html"), "<html>by hand</html>").unwrap();
    fail(&mut inspect(), &["`sheet.html` is there already", "did not write it", "`--page`"]);
    assert_eq!(std::fs::read(own.path().join("sheet.html")).unwrap(), b"<html>by hand</html>");
    // Each mistake is told by `inspect` and by `reproduce`, with what to do.
    let wrong = CELL.replace("cells/{case}", "cell/{case}");
    let unlisted = STAGE.replace("\"growing\", ", "");
    let column = RATIO.replace("nucleus_ratio", "nucleus_ratoi");
    for (tasks, parts) in [
        (vec![&wrong[..]], vec!["cell/{case}.png"]),
        (vec![CELL, &unlisted], vec!["growing", "stage", "row"]),
        (vec![CELL, &column], vec!["nucleus_ratoi", "nucleus_ratio"]),
        (vec![], vec!["`tasks` is empty", "[[data.settings.tasks]]"]),
    ] {
        own.write("", &if tasks.is_empty() { vec![""] } else { tasks }, "");
        fail(&mut own.mtcool(&["data", "inspect", "own.toml"]), &[]);
        fail(&mut own.mtcool(&["reproduce", "own.toml"]), &parts);
    }
    own.write("", &[CELL], "");
    let odd =
        fail(&mut own.mtcool(&["reproduce", "own.toml", "--set", "data.settings.size=[31, 32]"]), &["multiples of 2"]);
    assert!(text(&odd.stderr).contains("[32, 32]"));
}

#[test]
fn mistakes_in_files_are_told_before_training_with_place_and_remedy() {
    let check = |settings: &str, task: &str, change: &dyn Fn(&Own), parts: &[&str]| {
        let own = Own::new(30);
        own.write(settings, &[CELL, task], "");
        change(&own);
        fail(&mut own.mtcool(&["data", "inspect", "own.toml"]), &[]);
        fail(&mut own.mtcool(&["reproduce", "own.toml"]), parts);
        assert!(std::fs::read_dir(own.path().join("results/own/runs")).map_or(0, Iterator::count) == 0);
    };
    let nothing = |_: &Own| {};
    let table = |own: &Own, change: fn(&str) -> String| {
        let file = own.data().join("labels.csv");
        std::fs::write(&file, change(&std::fs::read_to_string(&file).unwrap())).unwrap();
    };
    let small = |own: &Own| image::GrayImage::new(16, 16).save(own.data().join("cells/cell_00003.png")).unwrap();
    check("", STAGE, &small, &["masks of another size", "cell_00003.png` of row 5", "16x16", "save them in the size"]);
    let twice = |own: &Own| table(own, |text| format!("{text}{}\n", text.lines().last().unwrap()));
    check("", STAGE, &twice, &["labels.csv`: two rows of one case", "rows 31, 32", "keep one row"]);
    let range = format!("{RATIO}range = [0.0, 0.001]\n");
    check(
        "",
        &range,
        &nothing,
        &["`labels.csv`: task `ratio`", "outside of `range` = [0, 0.001]", "in row ", "correct"],
    );
    let dead = STAGE.replace("\"dividing\"", "\"dividing\", \"dead\"");
    let told = ["classes that the training part does not have", "task `stage`, training part: `dead`", "`kept`"];
    check("", &dead, &nothing, &told);
    let empty = "split = { validation = 0.001, test = 0.2, stratify = \"none\" }";
    check(empty, STAGE, &nothing, &["the validation part is empty", "change the fractions", "data.settings.split"]);
}

#[test]
fn labels_are_removed_at_random_and_the_table_says_how_many() {
    let own = Own::new(45);
    let (cell, stage) = (format!("{CELL}kept = 0.5\n"), format!("{STAGE}kept = 0.4\n"));
    own.write("group = \"patient\"", &[&cell, &stage, RATIO], "");
    let table = own.reproduce(&["--methods", "joint,pcgrad,mtcool,independent"]);
    let (_, told) = table.split_once("Labels removed at random from the training part: ").unwrap();
    let numbers = told.lines().next().unwrap().split(|c: char| !c.is_ascii_digit());
    let numbers: Vec<f64> = numbers.filter_map(|number| number.parse().ok()).collect();
    assert!(numbers.len() >= 4 && !told.lines().next().unwrap().contains("ratio"), "{told}");
    let [cells, all_cells, stages, all_stages] = [0, 1, 2, 3].map(|index| numbers[index]);
    assert_eq!(cells, all_cells - (0.5 * all_cells).round(), "{told}");
    // Each of three classes is rounded by itself.
    assert!((stages - 0.6 * all_stages).abs() <= 1.5, "{told}");
    let left = format!("cell {} / ", all_cells - cells);
    assert!(table.contains(&left), "no `{left}` in:\n{table}");
    for method in ["joint", "pcgrad", "mtcool", "independent"] {
        assert!(own.rows(method, 0).iter().all(|row| row.value.is_finite()), "{method}");
    }
}

/// Dice, in per cent, of the pixels of value 255 of two masks.
fn dice(a: &Path, b: &Path) -> f64 {
    let [a, b] = [a, b].map(|file| mask_values(file).0);
    let (mut both, mut sum) = (0, 0);
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(&b) {
        both += u32::from(*a == 255 && *b == 255);
        sum += u32::from(*a == 255) + u32::from(*b == 255);
    }
    if sum == 0 { 100.0 } else { 200.0 * f64::from(both) / f64::from(sum) }
}

#[test]
fn large_pictures_are_trained_on_by_patches_and_seen_whole_by_tiles() {
    let own = Own::drawn(36, 80);
    let tiles = "fit = \"patches\"\npatches_per_image = 2\ntile = 48\noverlap = 16\nmargin = 4";
    own.write(tiles, &[CELL, STAGE, RATIO], "");
    let found = succeed(&mut own.mtcool(&["data", "inspect", "own.toml"]));
    for part in ["whole and scaled to `size`", "tiles of 48x48 that overlap by 16"] {
        assert!(found.contains(part), "no `{part}` in:\n{found}");
    }
    own.reproduce(&["--methods", "joint,mtcool,pcgrad,independent"]);
    for method in ["joint", "mtcool", "pcgrad", "independent"] {
        let rows = own.rows(method, 0);
        assert!(rows.iter().all(|row| row.value.is_finite()), "{method}");
        for (task, metric) in [("cell", "dice_nucleus"), ("stage", "accuracy"), ("ratio", "mae")] {
            let is_it = |row: &&Row| row.task == task && row.metric == metric && row.split == "test";
            assert!(rows.iter().any(|row| is_it(&row)), "{method}: {metric}");
        }
    }
    // A prediction sees whole pictures as the test does.
    let run = own.run("joint", 0);
    let scores = mtcool_bench::record::read_scores(&run, "cell", "dice_nucleus").unwrap();
    let (case, score) = scores.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    let picture = own.data().join(format!("images/{case}.png"));
    let arguments = ["predict", "--run", run.to_str().unwrap(), "--out", "seen", picture.to_str().unwrap()];
    let line: serde_json::Value = serde_json::from_str(&succeed(&mut own.mtcool(&arguments))).unwrap();
    assert!(line["classes"]["stage"].is_string() && line["values"]["ratio"].is_number(), "{line}");
    let mask = own.path().join(line["cell"].as_str().unwrap());
    let truth = own.data().join(format!("cells/{case}.png"));
    assert!((dice(&mask, &truth) - score).abs() < 1e-9, "{case}: {} instead of {score}", dice(&mask, &truth));
    for (wrong, parts) in [
        ("data.settings.tile=33", ["`data.settings.tile` is 33", "multiple of 2"]),
        ("data.settings.overlap=40", ["`overlap` is 40", "at most half"]),
    ] {
        fail(&mut own.mtcool(&["reproduce", "own.toml", "--set", wrong]), &parts);
    }
}

#[test]
fn distances_are_measured_in_the_unit_of_the_spacing() {
    let own = Own::new(30);
    let measured = |settings: &str| -> BTreeMap<String, f64> {
        own.write(settings, &[CELL], "");
        let _ = std::fs::remove_dir_all(own.path().join("results"));
        own.reproduce(&[]);
        let rows = own.rows("joint", 0).into_iter().filter(|row| row.split == "test");
        rows.map(|row| (row.metric, row.value)).collect()
    };
    let (pixels, millimetres) = (measured(""), measured("spacing = [0.25, 0.25]"));
    assert_eq!(pixels.keys().collect::<Vec<_>>(), millimetres.keys().collect::<Vec<_>>());
    for (metric, value) in &pixels {
        let factor = if metric.starts_with("hd95") { 0.25 } else { 1.0 };
        assert!((millimetres[metric] - factor * value).abs() < 1e-9, "{metric}");
    }
    assert!(pixels["hd95_nucleus"] > 0.0);
}

#[test]
fn sixteen_channels_of_sixteen_bits_are_trained_on() {
    let own = Own::new(30);
    for entry in std::fs::read_dir(own.data().join("images")).unwrap() {
        let path = entry.unwrap().path();
        let picture = image::open(&path).unwrap().into_rgb8();
        let file = std::fs::File::create(path.with_extension("tif")).unwrap();
        let mut encoder = tiff::encoder::TiffEncoder::new(file).unwrap();
        for channel in 0..16 {
            let samples: Vec<u16> =
                picture.pixels().map(|pixel| 200 * u16::from(pixel[channel % 3]) + channel as u16).collect();
            encoder.write_image::<tiff::encoder::colortype::Gray16>(32, 32, &samples).unwrap();
        }
    }
    own.write("channels = 16", &[CELL, STAGE], "");
    let experiment = std::fs::read_to_string(own.path().join("own.toml")).unwrap();
    let experiment = experiment.replace("images/{case}.png", "images/{case}.tif");
    std::fs::write(own.path().join("own.toml"), experiment).unwrap();
    own.reproduce(&["--methods", "joint,mtcool"]);
    for method in ["joint", "mtcool"] {
        assert!(own.rows(method, 0).iter().all(|row| row.value.is_finite()), "{method}");
    }
}

#[test]
fn a_suggested_configuration_trains() {
    let own = Own::new(48);
    let said = succeed(&mut own.mtcool(&["data", "init", "cells-data", "--out", "own.toml"]));
    assert!(said.contains("mtcool data inspect own.toml"), "{said}");
    fail(&mut own.mtcool(&["data", "init", "cells-data", "--out", "own.toml"]), &["`own.toml` exists", "--out"]);
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    let mut unread = own.mtcool(&["data", "init", "cells-data", "--out", "unread.toml"]);
    assert!(unread.stdout(closed).status().unwrap().success() && own.path().join("unread.toml").exists());
    succeed(&mut own.mtcool(&["data", "inspect", "own.toml"]));
    let written = std::fs::read_to_string(own.path().join("own.toml")).unwrap();
    let widths = "network.widths=[24, 48, 96]";
    let few = ["--set", "training.epochs=1", "--seeds", "1", "--methods", "joint,mtcool", "--set", widths];
    let table = own.reproduce(&[&few[..], &["--set", "method.mtcool.warmup_iterations=1"]].concat());
    for task in ["stage", "nucleus_ratio"] {
        assert!(written.contains(task) && table.contains(task), "{written}\n{table}");
    }
}
