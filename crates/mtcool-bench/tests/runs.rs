//! A results folder that remembers: where each number comes from, which runs there are, and whether their files are as they were
//! written.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Lab, REFUGE, fail, succeed, text};
use polars::prelude::{CsvReader, DataFrame, ParquetReader, SerReader};

/// Few batches, so that a run takes a moment.
const SHORT: [&str; 2] = ["--set", "training.epochs=1"];

fn parquet(path: &Path) -> DataFrame {
    ParquetReader::new(Cursor::new(std::fs::read(path).unwrap())).finish().unwrap()
}

fn words<'a>(frame: &'a DataFrame, column: &str) -> Vec<&'a str> {
    frame.column(column).unwrap().str().unwrap().iter().map(|value| value.unwrap_or("")).collect()
}

fn numbers(frame: &DataFrame, column: &str) -> Vec<f64> {
    frame.column(column).unwrap().f64().unwrap().iter().map(Option::unwrap).collect()
}

/// All files below `folder` with this name.
fn files_named(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(files_named(&entry, name));
        } else if entry.file_name().unwrap() == name {
            found.push(entry);
        }
    }
    found.sort();
    found
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn every_number_of_a_table_leads_to_its_run_and_the_table_says_where_it_comes_from() {
    let lab = Lab::new();
    let sweep = ["--methods", "joint,mtcool", "--seeds", "2", "--set", "training.epochs=1"];
    let printed = succeed(&mut lab.reproduce("results", &sweep));
    let folder = lab.path().join("results/table1");
    let (table, runs) = (parquet(&folder.join("table.parquet")), parquet(&folder.join("runs.parquet")));
    let csv = CsvReader::new(Cursor::new(std::fs::read(folder.join("runs.csv")).unwrap())).finish().unwrap();
    assert_eq!(csv.height(), runs.height());

    // The mean of each cell is the mean over the rows of `runs.parquet` with its label, task, metric and split.
    let (methods, tasks, metrics) = (words(&table, "method"), words(&table, "task"), words(&table, "metric"));
    let (labels, splits) = (words(&runs, "label"), words(&runs, "split"));
    let (of_tasks, of_metrics, values) = (words(&runs, "task"), words(&runs, "metric"), numbers(&runs, "value"));
    for (at, mean) in numbers(&table, "mean").into_iter().enumerate() {
        let is_of_cell = |row: &usize| {
            (labels[*row], splits[*row], of_tasks[*row], of_metrics[*row])
                == (methods[at], "test", tasks[at], metrics[at])
        };
        let of_cell: Vec<f64> = (0..runs.height()).filter(is_of_cell).map(|row| values[row]).collect();
        assert_eq!(of_cell.len(), 2, "{} {}", methods[at], tasks[at]);
        assert!((of_cell.iter().sum::<f64>() / 2.0 - mean).abs() < 1e-12);
    }

    // Each row names its run, and how the run was made.
    let version = succeed(&mut lab.mtcool(&["--version"]));
    let (hashes, folders) = (words(&runs, "hash"), words(&runs, "run"));
    let starts = words(&runs, "started");
    for at in 0..runs.height() {
        let run = folder.join("runs").join(folders[at]);
        assert_eq!(json(&run.join("run.json"))["hash"], hashes[at]);
        assert!(version.contains(words(&runs, "revision")[at]) && version.contains(words(&runs, "version")[at]));
        assert!(words(&runs, "command")[at].contains("reproduce table1 --data"));
        assert!(starts[at].starts_with("20") && starts[at] <= words(&runs, "ended")[at], "{}", starts[at]);
        assert_eq!(words(&runs, "device")[at], "cpu");
    }
    for column in ["host", "data", "processor", "experiment", "method"] {
        if column != "processor" || cfg!(target_os = "linux") {
            assert!(words(&runs, column).iter().all(|value| !value.is_empty()), "{column}");
        }
    }
    let modified = version.contains("-modified");
    assert!(runs.column("modified").unwrap().bool().unwrap().iter().all(|value| value == Some(modified)));
    for column in ["threads", "epochs", "epoch"] {
        assert!(runs.column(column).unwrap().u64().unwrap().iter().all(|value| value.unwrap() > 0), "{column}");
    }
    assert!(runs.column("results_version").unwrap().i64().unwrap().iter().all(|value| value.is_some()));

    // The data of each run: a digest of its files, and what trains, selects and tests.
    let data = json(&folder.join("runs").join(folders[0]).join("data.json"));
    assert_eq!(data["digest"], words(&runs, "data")[0]);
    let md5 = Command::new("md5sum").arg(lab.data().join("t10k-labels-idx1-ubyte")).output();
    if let Ok(md5) = md5 {
        let expected = format!("md5:{}", text(&md5.stdout).split(' ').next().unwrap());
        assert_eq!(data["files"]["t10k-labels-idx1-ubyte"], expected);
    }
    assert_eq!(data["train"][0], "train-images-idx3-ubyte: images 0 to 499");
    assert_eq!(data["validation"][0], "train-images-idx3-ubyte: images 500 to 599");
    assert_eq!(data["test"][0], "t10k-images-idx3-ubyte: images 0 to 99");

    // The block below the table.
    let (_, block) = printed.split_once("### Where this comes from\n").unwrap();
    for part in [
        "Runs: 4, made from 20",
        "each row with the seeds 0, 1",
        words(&runs, "revision")[0],
        words(&runs, "host")[0],
        words(&runs, "data")[0],
        "`training.epochs` 1",
        "`training.batch_size` 16",
    ] {
        assert!(block.contains(part), "no `{part}` in {block}");
    }
    let differing = block.lines().find(|line| line.contains("Settings that differ")).unwrap();
    assert!(differing.contains("MT-COOL (Ours): ") && differing.contains("`settings.bound` "), "{differing}");
    let common = block.lines().find(|line| line.contains("Settings of all rows")).unwrap();
    assert!(!common.contains("settings.bound") && !differing.contains("training.epochs"), "{common}\n{differing}");

    // The command that the block names finds all runs finished and prints the same table.
    let command = block.lines().find_map(|line| line.strip_prefix("- To repeat it: `")?.strip_suffix('`')).unwrap();
    let program = lab.mtcool(&[]);
    let path = Path::new(program.get_program()).parent().unwrap();
    let path = format!("{}:{}", path.display(), std::env::var("PATH").unwrap());
    let again = Command::new("sh").args(["-c", command]).env("PATH", path).current_dir(lab.path()).output().unwrap();
    assert!(again.status.success(), "{command}\n{}", text(&again.stderr));
    assert!(!text(&again.stderr).contains("is finished") && text(&again.stdout) == printed, "{command}");

    // Rows that the last command did not name are in the table, and so in the command below it.
    let asked = ["report", "table1", "--results", "results", "--methods", "joint", "--set", "seeds=1"];
    let table = succeed(&mut lab.mtcool(&asked));
    let command = table.lines().find(|line| line.starts_with("- To repeat it")).unwrap();
    assert!(command.contains(r#"methods=["joint", "mtcool"]"#) && command.contains("--set seeds=2"), "{command}");
}

#[test]
fn metrics_of_all_runs_can_be_read_together_and_finer_losses_on_request() {
    let lab = Lab::new();
    let joint = [&["--methods", "joint", "--seeds", "2"], &SHORT[..]].concat();
    succeed(&mut lab.reproduce("results", &joint));
    let files = files_named(&lab.path().join("results"), "metrics.parquet");
    assert_eq!(files.len(), 2, "{files:?}");
    for (seed, file) in files.iter().enumerate() {
        let frame = parquet(file);
        let hash = json(&file.with_file_name("run.json"))["hash"].as_str().unwrap().to_owned();
        for (column, value) in [("experiment", "table1"), ("label", "joint"), ("method", "joint"), ("hash", &hash)] {
            assert!(words(&frame, column).iter().all(|found| *found == value), "{column}");
        }
        let seeds = frame.column("seed").unwrap().u64().unwrap().iter();
        assert!(seeds.into_iter().all(|found| found == Some(seed as u64)));
        let config = std::fs::read_to_string(file.with_file_name("config.toml")).unwrap();
        for rate in numbers(&frame, "learning_rate") {
            assert!(config.contains(&format!("learning_rate = {rate}")), "{rate}: {config}");
        }
    }
    assert!(!files_named(&lab.path().join("results"), "rows.parquet").is_empty(), "checkpoints have their rows");

    // `log_every` adds rows and changes nothing else, not even the run's identity.
    succeed(lab.reproduce("finer", &joint).args(["--set", "log_every=3"]));
    for seed in 0..2 {
        let name = format!("joint-s{seed}");
        let (plain, finer) = (lab.rows("results", &name), lab.rows("finer", &name));
        let (logged, others): (Vec<_>, Vec<_>) = finer.into_iter().partition(|row| row.metric.starts_with("step_"));
        assert_eq!(others, plain);
        let logged: Vec<_> = logged.into_iter().filter(|row| row.metric == "step_loss").collect();
        let steps = plain.last().unwrap().step;
        let of_task: Vec<u64> = logged.iter().filter(|row| row.task == "odd").map(|row| row.step).collect();
        assert_eq!(of_task, (1..=steps / 3).map(|interval| 3 * interval).collect::<Vec<_>>());
        // Whole intervals of the only epoch: their mean is the epoch's mean up to the steps after the last interval.
        let mean =
            logged.iter().filter(|row| row.task == "odd").map(|row| row.value).sum::<f64>() / of_task.len() as f64;
        let epoch = plain.iter().find(|row| row.task == "odd" && row.split == "train" && row.metric == "loss").unwrap();
        let rest = (steps % 3) as f64 / steps as f64;
        assert!((mean - epoch.value).abs() <= 1e-9 + 3.0 * rest, "{mean}, {}", epoch.value);
    }
    let hash = |results: &str| json(&lab.run_folder(results, "joint-s0").join("run.json"))["hash"].clone();
    assert_eq!(hash("results"), hash("finer"));
}

#[test]
fn a_changed_byte_is_found_by_verify_report_predict_and_compare() {
    let lab = Lab::new();
    let joint = [&["--methods", "joint,vanilla"], &SHORT[..]].concat();
    succeed(&mut lab.reproduce("results", &joint));
    let verify = |lab: &Lab| lab.mtcool(&["runs", "verify", "table1"]);
    let said = succeed(&mut verify(&lab));
    assert!(said.contains("as they were written: 2 runs."), "{said}");
    let flip = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    // Every file of the run is watched, and the report names the ones that it reads.
    let run = lab.run_folder("results", "joint-s0");
    let list = json(&run.join("files.json"));
    let mut names: Vec<&String> = list.as_object().unwrap().keys().collect();
    names.sort();
    let expected = [
        "config.toml",
        "data.json",
        "environment.json",
        "metrics.parquet",
        "model.safetensors",
        "predictions.parquet",
        "run.json",
    ];
    assert_eq!(names, expected);
    for name in expected {
        let path = run.join(name);
        let whole = std::fs::read(&path).unwrap();
        flip(&path);
        fail(&mut verify(&lab), &["joint-s0", name]);
        if name != "model.safetensors" {
            // A run that is damaged is left out of the table, which says so, and replaces no fuller one.
            let output = lab.mtcool(&["report", "table1"]).output().unwrap();
            let (said, printed) = (text(&output.stderr), text(&output.stdout));
            assert!(output.status.success(), "{name}: {said}");
            assert!(said.contains("joint-s0") && said.contains(name) && said.contains("left out"), "{name}: {said}");
            assert!(said.contains("was not replaced"), "{name}: {said}");
            let is_noted = printed.contains("Left out, since files of results are missing or damaged: joint-s0");
            assert_eq!(is_noted, !["config.toml", "run.json"].contains(&name), "{name}: {printed}");
        }
        std::fs::write(&path, &whole).unwrap();
    }
    let predictions = run.join("predictions.parquet");
    let whole = std::fs::read(&predictions).unwrap();
    std::fs::remove_file(&predictions).unwrap();
    let output = lab.mtcool(&["report", "table1"]).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("predictions.parquet") && said.contains("is missing"), "{said}");
    let said = succeed(&mut lab.mtcool(&["status", "table1"]));
    assert!(said.contains("1 damaged") && said.contains("predictions.parquet` is missing"), "{said}");
    fail(&mut lab.mtcool(&["compare", "table1", "joint", "vanilla"]), &["predictions.parquet", "is missing"]);
    let said = text(&fail(&mut verify(&lab), &["joint-s0", "`predictions.parquet` is missing"]).stdout);
    assert!(said.contains("1 run damaged; of the others, all files as they were written: 1 run."), "{said}");
    std::fs::write(&predictions, whole).unwrap();
    succeed(&mut lab.mtcool(&["report", "table1"]));
    succeed(&mut verify(&lab));

    let mut refuge = lab.mtcool(&REFUGE);
    succeed(refuge.args(["--data", "synth", "--seeds", "1", "--methods", "joint"]).args(SHORT));
    let mut models = files_named(&lab.path().join("results/table2"), "model.safetensors");
    models.retain(|path| !path.display().to_string().contains("checkpoints"));
    assert_eq!(models.len(), 1, "{models:?}");
    let (model, run) = (&models[0], models[0].parent().unwrap());
    let data = json(&run.join("data.json"));
    let count = |part: &str| data[part].as_array().unwrap().len();
    assert_eq!((count("train") + count("validation"), count("test")), (24, 10));
    assert!(data["test"].as_array().unwrap().contains(&"T0001".into()), "{data}");
    flip(model);
    let predict = ["predict", "--checkpoint", run.to_str().unwrap(), "data/refuge-synth/Test400/T0001.jpg"];
    fail(&mut lab.mtcool(&predict), &["model.safetensors` is damaged or was changed"]);
}

#[test]
fn runs_are_listed_compared_and_removed_by_their_settings() {
    let lab = Lab::new();
    let run = |methods: &str, further: &[&str]| {
        succeed(
            &mut lab.reproduce("results", &[&["--methods", methods, "--seeds", "2"], &SHORT[..], further].concat()),
        );
    };
    run("joint,mtcool", &[]);
    run("joint", &["--set", "method.joint.learning_rate=0.01"]);
    let mtcool = |arguments: &[&str]| lab.mtcool(arguments);

    let listed = succeed(&mut mtcool(&["runs", "table1"]));
    assert!(listed.starts_with("6 runs in `results/table1/runs`: 6 finished\n"), "{listed}");
    let head: Vec<&str> = listed.lines().nth(2).unwrap().split_whitespace().collect();
    let expected =
        ["label", "seed", "status", "epochs", "settings.learning_rate", "even.accuracy", "odd.accuracy", "run"];
    assert_eq!(head, expected, "only what differs between runs of a method is shown");
    let chosen = |conditions: &str| -> Vec<BTreeMap<String, String>> {
        let csv = succeed(&mut mtcool(&["runs", "table1", "--where", conditions, "--csv"]));
        let mut lines = csv.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
        let head = lines.next().unwrap();
        lines.map(|line| head.iter().cloned().zip(line).collect()).collect()
    };
    assert_eq!(chosen("").len(), 6);
    assert_eq!(chosen("label=joint,seed<1").len(), 2);
    let slow = chosen("learning_rate=0.01,seed=1");
    assert_eq!(slow.len(), 1);
    let slow = &slow[0];
    assert_eq!((slow["label"].as_str(), slow["seed"].as_str(), slow["status"].as_str()), ("joint", "1", "finished"));
    let rows = mtcool_bench::record::read_rows(
        &lab.path().join("results/table1/runs").join(&slow["run"]).join("metrics.parquet"),
    );
    let rows = rows.unwrap();
    let even = rows.iter().find(|row| row.split == "test" && row.task == "even" && row.metric == "accuracy").unwrap();
    assert_eq!(slow["even.accuracy"], format!("{:.4}", even.value));
    fail(&mut mtcool(&["runs", "table1", "--where", "lable=joint"]), &["did you mean `label`?"]);
    fail(&mut mtcool(&["runs", "tabel1"]), &["did you mean `table1`?"]);

    // Two rows, two configurations, two runs.
    fail(
        &mut mtcool(&["compare", "table1", "joint", "mtcool"]),
        &["several configurations", "`settings.learning_rate` (0.01,"],
    );
    fail(&mut mtcool(&["compare", "table1", "mtcol", "joint"]), &["`mtcol`", "joint, mtcool"]);
    fail(&mut mtcool(&["compare", "joint", "mtcool"]), &["name the experiment first"]);
    let other = "label=joint,learning_rate!=0.01";
    let compared = succeed(&mut mtcool(&["compare", "table1", "label=joint,learning_rate=0.01", other]));
    let line = |compared: &str, first: &[&str]| -> Vec<String> {
        let words =
            |line: &str| line.split("  ").map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let lines: Vec<Vec<String>> = compared.lines().map(words).collect();
        lines
            .into_iter()
            .find(|line| line.starts_with(&first.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()))
            .unwrap()
    };
    assert_eq!(line(&compared, &["settings.learning_rate"])[1], "0.01");
    assert!(!compared.contains("training.epochs"), "{compared}");
    let accuracy = line(&compared, &["test", "even", "accuracy"]);
    let of = |conditions: &str| -> f64 {
        chosen(conditions).iter().map(|run| run["even.accuracy"].parse::<f64>().unwrap()).sum::<f64>() / 2.0
    };
    let difference = of("label=joint,learning_rate=0.01") - of(other);
    assert!((accuracy[5].parse::<f64>().unwrap() - difference).abs() < 1e-3, "{accuracy:?}: {difference}");
    assert!(accuracy[6].parse::<u64>().unwrap() > 40 && accuracy[7] != "-" && accuracy[8] != "-", "{accuracy:?}");
    let runs: Vec<String> =
        chosen("label=mtcool").iter().map(|run| format!("results/table1/runs/{}", run["run"])).collect();
    let compared = succeed(&mut mtcool(&["compare", &runs[0], &runs[1]]));
    assert!(compared.contains("The settings are the same."), "{compared}");

    // Removing asks, and removes what was chosen and nothing else.
    let answer = |answer: &str| {
        let mut child = mtcool(&["runs", "rm", "table1", "--where", "learning_rate=0.01"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    for refusal in ["n\n", ""] {
        let output = answer(refusal);
        assert!(!output.status.success() && text(&output.stderr).contains("nothing was removed"));
        assert!(text(&output.stdout).contains("Remove 2 runs"));
        assert_eq!(chosen("").len(), 6);
    }
    assert!(answer("y\n").status.success());
    assert_eq!((chosen("").len(), chosen("label=joint").len()), (4, 2));
    fail(&mut mtcool(&["runs", "rm", "table1", "--where", "learning_rate=0.01", "--yes"]), &["no run in"]);
    succeed(&mut mtcool(&["runs", "rm", "table1", "--where", "label=mtcool,seed=1", "--yes"]));
    assert_eq!(chosen("").len(), 3);
}

#[test]
fn the_status_names_what_is_done_running_waiting_interrupted_and_failed() {
    let lab = Lab::new();
    let status = || succeed(&mut lab.mtcool(&["status", "table1"]));
    fail(&mut lab.mtcool(&["status", "table1"]), &["has no runs", "mtcool reproduce table1"]);
    let wild = ["--methods", "vanilla,joint", "--set", "method.joint.learning_rate=1e30"];
    fail(&mut lab.reproduce("results", &[&wild, &SHORT[..]].concat()), &["1 of 2 runs failed"]);
    let said = status();
    assert!(said.starts_with("results/table1: 1 finished, 1 failed\n"), "{said}");
    let failed = said.lines().find(|line| line.starts_with("joint-s0")).unwrap();
    assert!(failed.contains("failed") && failed.contains("the loss of task"), "{failed}");

    // A long sweep of two runs: one is running, the other one waits.
    let long = ["--methods", "joint", "--seeds", "2", "--set", "training.epochs=5000", "--checkpoint-seconds", "0.05"];
    let mut child = lab.reproduce("results", &long).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let said = loop {
        let said = status();
        if said.contains(" left") && said.contains("about ") || Instant::now() > deadline {
            break said;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    // Another sweep of the same rows with another seed begins meanwhile. It adds its run, and hides none.
    let other = ["--methods", "joint", "--seeds", "7,", "--set", "training.epochs=5000"];
    succeed(&mut lab.table1("sweep", "results", &other));
    let both = status();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(both.contains("1 running, 2 waiting"), "{both}");
    for waiting in ["joint-s1", "joint-s7"] {
        assert!(both.lines().any(|line| line.starts_with(waiting) && line.contains("waiting")), "{both}");
    }
    // The sweep that began last is the one that is told of when neither is going on.
    let last = status();
    assert!(last.contains("1 waiting, 1 interrupted") && last.contains("joint-s7"), "{last}");
    succeed(&mut lab.table1("sweep", "results", &long));
    assert!(said.contains("1 running, 1 waiting"), "{said}");
    let running = said.lines().find(|line| line.contains("running on") || line.contains("  running  ")).unwrap();
    assert!(running.starts_with("joint-s0") && running.contains(&format!("process {}", child.id())), "{running}");
    assert!(running.contains(" of 5000") && running.contains(" since 20") && running.contains(" left"), "{running}");
    assert!(said.lines().any(|line| line.starts_with("joint-s1") && line.contains("waiting")), "{said}");

    let said = status();
    assert!(said.contains("1 waiting, 1 interrupted"), "{said}");
    let interrupted = said.lines().find(|line| line.contains("interrupted  ")).unwrap();
    assert!(interrupted.contains("the same command goes on"), "{interrupted}");
    assert!(said.contains("1 finished run of other sweeps is not listed"), "{said}");
}

#[test]
fn runs_and_checkpoints_of_earlier_versions_are_still_read() {
    let lab = Lab::new();
    let joint = ["--methods", "joint"];
    let printed = succeed(&mut lab.reproduce("results", &joint));
    let rows = lab.rows("results", "joint-s0");
    let run = lab.run_folder("results", "joint-s0");
    // What earlier versions did not write: lists of files, the record of the data, most circumstances, another name of the rows in
    // checkpoints.
    for list in files_named(&run, "files.json") {
        std::fs::remove_file(list).unwrap();
    }
    std::fs::remove_file(run.join("data.json")).unwrap();
    std::fs::write(run.join("environment.json"), r#"{ "mtcool": "0.0.9", "revision": "0123456789ab" }"#).unwrap();
    for rows in files_named(&run.join("checkpoints"), "rows.parquet") {
        std::fs::rename(&rows, rows.with_file_name("metrics.parquet")).unwrap();
    }
    let reported = succeed(&mut lab.mtcool(&["report", "table1"]));
    let cells = |table: &str| table.lines().find(|line| line.starts_with("| Joint ")).unwrap().to_owned();
    assert_eq!(cells(&reported), cells(&printed));
    assert!(reported.contains("mtcool 0.0.9, revision 0123456789ab"), "{reported}");
    let runs = parquet(&lab.path().join("results/table1/runs.parquet"));
    assert!(words(&runs, "version").iter().all(|version| *version == "0.0.9"));
    assert!(words(&runs, "data").iter().chain(&words(&runs, "host")).all(|unknown| unknown.is_empty()));
    let said = succeed(&mut lab.mtcool(&["runs", "verify", "table1"]));
    assert!(said.contains("made no list of their files: joint-s0-"), "{said}");

    // Interrupted before its end, the run continues from such a checkpoint.
    let status = std::fs::read_to_string(run.join("run.json")).unwrap();
    std::fs::write(run.join("run.json"), status.replace("\"finished\"", "\"running\"")).unwrap();
    let output = lab.reproduce("results", &joint).output().unwrap();
    assert!(
        output.status.success() && text(&output.stderr).contains("continues from step"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(lab.rows("results", "joint-s0"), rows);
    let environment = json(&run.join("environment.json"));
    assert_eq!(environment["earlier"][0]["revision"], "0123456789ab", "every process that worked on it is remembered");
    assert!(environment["batches_before"].as_u64().unwrap() > 0);
}
