//! The folder of results: several configurations side by side, variants, interrupted runs, tables that are never lost.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Lab, fail, find_run, succeed, text};
use mtcool_bench::record::{Status, StoredRun, read_rows, stored_runs};

/// Table 1 with two variants, as a file of one's own.
const VARIANTS: &str = r#"
[default.method.mtcool_b05]
like = "mtcool"
label = "Large noise"
bound = 0.05

[default.method.mtcool_b05_slow]
like = "mtcool_b05"
alpha = 0.002

[default.method.f_cagrad]
like = "f_mtl"
label = "F-MTL around CAGrad"
around = "cagrad"
settings = { c = 0.25 }

[default.method.f_dwa]
like = "f_mtl"
label = "F-MTL around DWA"
around = "dwa"
"#;

fn table1() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/table1.toml")).unwrap()
}

/// `mtcool reproduce FILE` with few small batches.
fn reproduce(lab: &Lab, file: &str, further: &[&str]) -> Command {
    let data = lab.data();
    let settings = ["training.batch_size=16", "training.epochs=1", "method.mtcool.warmup_iterations=5"];
    let mut arguments = vec!["reproduce", file, "--data", data.to_str().unwrap()];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", *setting]));
    let mut command = lab.mtcool(&arguments);
    command.args(further);
    command
}

fn runs(lab: &Lab, experiment: &str) -> Vec<StoredRun> {
    let index = stored_runs(&lab.path().join("results").join(experiment).join("runs")).unwrap();
    assert!(index.damaged.is_empty());
    index.runs
}

fn names(runs: &[StoredRun]) -> Vec<String> {
    runs.iter().map(StoredRun::name).collect()
}

/// The labels of the rows of the first table in `printed`.
fn labels(printed: &str) -> Vec<&str> {
    let table = printed.lines().skip_while(|line| !line.starts_with("| ")).take_while(|line| line.starts_with("| "));
    table.skip(2).map(|line| line.split('|').nth(1).unwrap().trim()).filter(|label| !label.is_empty()).collect()
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn variants_are_rows_with_settings_of_their_own() {
    let lab = Lab::new();
    std::fs::write(lab.path().join("own.toml"), table1() + VARIANTS).unwrap();
    let methods = "joint,mtcool,mtcool_b05,mtcool_b05_slow,f_cagrad,f_dwa";
    let printed = succeed(&mut reproduce(&lab, "own.toml", &["--methods", methods, "--seeds", "1"]));
    let rows = ["MT-COOL (Ours)", "Joint", "Large noise", "mtcool_b05_slow", "F-MTL around CAGrad", "F-MTL around DWA"];
    assert_eq!(labels(&printed), rows, "{printed}");
    let (_, paired) = printed.split_once("### Paired").unwrap();
    assert!(paired.contains("| Large noise "), "a partner in tests: {paired}");
    let page = read(lab.path().join("results/own/report.html"));
    assert!(page.matches("Large noise").count() > 2, "a line in the curves");
    let csv = read(lab.path().join("results/own/table.csv"));
    assert!(csv.lines().any(|line| line.starts_with("mtcool_b05,Large noise,")), "{csv}");

    // A variant has the settings of its method except for its own ones.
    let stored = runs(&lab, "own");
    let settings = |label: &str| stored.iter().find(|run| run.label == label).unwrap().config.settings();
    let (plain, large, slow) = (settings("mtcool"), settings("mtcool_b05"), settings("mtcool_b05_slow"));
    let differs: Vec<&String> = plain.keys().filter(|key| plain[*key] != large[*key]).collect();
    assert_eq!(differs, ["settings.bound"]);
    assert_eq!((large["method"].as_str(), large["settings.bound"].as_str()), ("\"mtcool\"", "0.05"));
    assert_eq!((slow["settings.bound"].as_str(), slow["settings.alpha"].as_str()), ("0.05", "0.002"));
    assert_eq!(settings("f_cagrad")["settings.settings.c"], "0.25");
    assert_eq!(settings("f_dwa")["settings.around"], "\"dwa\"");

    // A grid makes variants, and finds the run that the file's variant has made.
    let grid = ["--methods", "joint,mtcool", "--seeds", "1", "--grid", "method.mtcool.bound=0.01,0.05"];
    let output = reproduce(&lab, "own.toml", &grid).output().unwrap();
    let (printed, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}");
    let want = ["MT-COOL (Ours), bound 0.01", "MT-COOL (Ours), bound 0.05", "Joint"];
    assert_eq!(labels(&printed)[..3], want, "{printed}");
    assert!(said.contains("mtcool_bound_0.01-s0 is finished") && !said.contains("bound_0.05-s0 is finished"), "{said}");
    assert!(!labels(&printed).contains(&"Large noise"), "one run is one row: {printed}");
    assert!(find_run(&lab.path().join("results/own"), "mtcool_bound_0.01-s0").join("model.safetensors").exists());

    for (arguments, parts) in [
        (&["--set", "method.b.like=\"mtcol\""][..], &["`method.b.like`", "did you mean `mtcool`?"][..]),
        (&["--set", "method.b.bound=0.1"], &["unknown method `b`", "needs the key `like`"]),
        (&["--set", "method.b.like=\"c\"", "--set", "method.c.like=\"b\""], &["like itself"]),
        (&["--set", "method.b={ like = \"mtcool\", bond = 0.1 }", "--methods", "b"], &["`method.b.bond`", "`bound`"]),
        (&["--set", "method.\"b.c\".like=\"mtcool\""], &["`b.c`", "letters, digits"]),
        (&["--set", "method.b.like=\"mtcool\"", "--methods", "mtcool,b"], &["`mtcool` and `b`", "the same settings"]),
        (&["--methods", "mtcool_b5"], &["unknown method `mtcool_b5`", "did you mean `mtcool_b05`?"]),
        (&["--set", "method.mtcool.bound=0.1", "--set", "method.mtcool.bound=0.2"], &["given twice", "--grid"]),
        (&["--grid", "training.epochs=1,2"], &["`grid.training.epochs`", "a table of its own"]),
        (&["--grid", "method.mtcol.bound=1,2"], &["`grid`", "did you mean `mtcool`?"]),
        (&["--grid", "method.mtcool.bond=1,2"], &["unknown key", "bond", "`bound`"]),
    ] {
        fail(&mut reproduce(&lab, "own.toml", arguments), parts);
    }
}

#[test]
fn losses_have_fixed_weights_on_request() {
    let lab = Lab::new();
    let joint = |label: &str, further: &[&str]| {
        let arguments = [&["--methods", label, "--set", "training.epochs=1"], further].concat();
        succeed(&mut lab.reproduce("results", &arguments));
        let run = lab.run_folder("results", &format!("{label}-s0"));
        (std::fs::read(run.join("model.safetensors")).unwrap(), read(run.join("config.toml")))
    };
    let (plain, config) = joint("joint", &[]);
    assert!(!config.contains("weights"), "{config}");
    let (equal, config) = joint("joint", &["--set", "method.joint.weights=[1.0, 1.0]"]);
    assert!(config.contains("weights = ["), "{config}");
    assert!(equal == plain, "the weights 1 and 1 change bits");
    let (other, _) = joint("joint", &["--set", "method.joint.weights=[0.5, 2.0]"]);
    assert!(other != plain);
    // Methods that inherit Joint's settings do not take its weights.
    let (_, config) = joint("independent", &["--set", "method.joint.weights=[0.5, 2.0]"]);
    assert!(!config.contains("weights"), "{config}");
    for (weights, part) in [("[1.0]", "expected 2 numbers, one per task, got 1"), ("[0.0, 0.0]", "not all 0")] {
        let assignment = format!("method.joint.weights={weights}");
        fail(&mut lab.reproduce("results", &["--methods", "joint", "--set", &assignment]), &["method.joint", part]);
    }
    let typo = ["--methods", "cagrad", "--set", "method.joint.weihgts=[1.0, 1.0]"];
    fail(&mut lab.reproduce("results", &typo), &["unknown key `method.joint.weihgts`"]);
}

#[test]
fn seeds_are_listed_and_single_runs_are_parts_of_a_table() {
    let lab = Lab::new();
    succeed(&mut lab.reproduce("results", &["--methods", "joint", "--seeds", "7,2"]));
    assert_eq!(names(&runs(&lab, "table1")), ["joint-s2", "joint-s7"]);
    let printed = succeed(&mut lab.reproduce("results", &["--only", "joint:3"]));
    assert_eq!(names(&runs(&lab, "table1")), ["joint-s2", "joint-s3", "joint-s7"]);
    let row = printed.lines().find(|line| line.starts_with("| Joint ")).unwrap();
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    assert_eq!(cells[cells.len() - 3], "3", "the table has all runs: {printed}");
    // A part of a sweep remembers the whole sweep, and leaves the table to others on request.
    let part =
        ["--only", "joint:4", "--only", "vanilla:3", "--methods", "joint,vanilla", "--seeds", "3,4", "--no-table"];
    let before = read(lab.path().join("results/table1/table.md"));
    assert_eq!(succeed(&mut lab.reproduce("results", &part)), "");
    assert_eq!(read(lab.path().join("results/table1/table.md")), before);
    assert_eq!(names(&runs(&lab, "table1")), ["joint-s2", "joint-s3", "joint-s4", "joint-s7", "vanilla-s3"]);
    let status = succeed(&mut lab.mtcool(&["status", "table1"]));
    assert!(status.contains("vanilla-s4  waiting"), "{status}");
    let parts = ["`--only joint:3`", "no such run", "vanilla", "[1]"];
    fail(&mut lab.reproduce("results", &["--only", "joint:3", "--methods", "vanilla", "--seeds", "1,"]), &parts);
    fail(&mut lab.reproduce("results", &["--only", "joint"]), &["METHOD:SEED"]);
    fail(&mut lab.reproduce("results", &["--methods", "joint", "--seeds", "1,1"]), &["`seeds`", "each seed once"]);
}

#[test]
fn experiments_of_one_name_share_no_results() {
    let lab = Lab::new();
    let joint = ["--methods", "joint", "--seeds", "1"];
    for (file, text) in
        [("a/lr0.01.toml", table1()), ("b/lr0.01.toml", table1() + "\n# another\n"), ("b/lr0.02.toml", table1())]
    {
        std::fs::create_dir_all(lab.path().join(file).parent().unwrap()).unwrap();
        std::fs::write(lab.path().join(file), text).unwrap();
    }
    succeed(&mut reproduce(&lab, "a/lr0.01.toml", &joint));
    succeed(&mut reproduce(&lab, "b/lr0.02.toml", &joint));
    assert_eq!((runs(&lab, "lr0.01").len(), runs(&lab, "lr0.02").len()), (1, 1));
    let parts = ["results/lr0.01", "a/lr0.01.toml", "b/lr0.01.toml", "set `name"];
    fail(&mut reproduce(&lab, "b/lr0.01.toml", &joint), &parts);
    fail(&mut lab.mtcool(&["report", "b/lr0.01.toml"]), &parts);
    let named = table1().replacen("[default]", "[default]\nname = \"rates\"", 1);
    std::fs::write(lab.path().join("b/lr0.01.toml"), named).unwrap();
    let printed = succeed(&mut reproduce(&lab, "b/lr0.01.toml", &joint));
    assert_eq!(succeed(&mut lab.mtcool(&["report", "b/lr0.01.toml"])), printed);
    assert_eq!(runs(&lab, "rates").len(), 1);
    fail(&mut reproduce(&lab, "b/lr0.01.toml", &["--set", "name=\"x\""]), &["`name` is `x`", "nowhere else"]);
    // A name without `.toml` is a file in `experiments/`.
    std::fs::create_dir(lab.path().join("experiments")).unwrap();
    std::fs::rename(lab.path().join("b/lr0.02.toml"), lab.path().join("experiments/lr0.02.toml")).unwrap();
    succeed(&mut lab.mtcool(&["report", "lr0.02"]));
    succeed(&mut lab.mtcool(&["report", "experiments/lr0.02.toml"]));
}

#[test]
fn a_report_adds_to_what_it_remembers_and_destroys_nothing() {
    let lab = Lab::new();
    let full = succeed(&mut lab.reproduce("results", &["--methods", "joint,vanilla", "--seeds", "2"]));
    let folder = lab.path().join("results/table1");
    let report = |further: &[&str]| {
        let mut command = lab.mtcool(&["report", "table1"]);
        command.args(further);
        command
    };
    // The remembered settings still hold, so that the rows keep their runs.
    let printed = succeed(&mut report(&["--methods", "joint"]));
    assert_eq!(labels(&printed), ["Ours (Vanilla)", "Joint"], "{printed}");
    assert!(!printed.contains("No finished run"), "{printed}");
    succeed(&mut report(&["--methods", "joint,vanilla"]));
    assert_eq!(read(folder.join("table.md")), full);

    // Nothing matches: what there is, and what differs.
    let parts = ["no run has the settings", "joint-s0, joint-s1, vanilla-s0", "training.epochs is 2, asked for is 7"];
    fail(&mut report(&["--set", "training.epochs=7"]), &parts);
    assert_eq!(read(folder.join("table.md")), full);

    // A smaller table of other settings stands in a folder of its own; the fuller one stays.
    let one = ["--methods", "joint", "--set", "method.joint.learning_rate=0.01", "--set", "method.vanilla.alpha=0.01"];
    let output = lab.reproduce("results", &one).output().unwrap();
    let (small, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && small != full, "{said}");
    assert!(said.contains("`--force` replaces it") && said.contains("has 4 results, and this table has 1"), "{said}");
    assert_eq!(read(folder.join("table.md")), full);
    let tables: Vec<PathBuf> =
        std::fs::read_dir(folder.join("tables")).unwrap().map(|entry| entry.unwrap().path().join("table.md")).collect();
    assert_eq!(tables.len(), 2);
    assert!(tables.iter().any(|path| read(path) == small) && tables.iter().any(|path| read(path) == full));
    assert_eq!(succeed(&mut report(&[])), full, "the record belongs to the table that is there");
    let rates = ["--set", "method.joint.learning_rate=0.01", "--set", "method.vanilla.alpha=0.01"];
    succeed(report(&rates).arg("--force"));
    assert!(read(folder.join("table.md")) != full);
    let again = succeed(&mut report(&[]));
    assert!(
        again.contains("No finished run yet: vanilla."),
        "flags of a report are remembered with its table: {again}"
    );
    fail(&mut lab.mtcool(&["report", "table2"]), &["nothing to report", "results/table2"]);
}

#[test]
fn sweeps_with_different_settings_at_the_same_time_get_whole_tables() {
    let lab = Lab::new();
    let start = |epochs: &str| {
        let set = format!("training.epochs={epochs}");
        let mut command = lab.reproduce("results", &["--methods", "joint,vanilla", "--set", &set, "--threads", "1"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    };
    let outputs = [start("1"), start("2")].map(|child| child.wait_with_output().unwrap());
    let printed = outputs.map(|output| {
        assert!(output.status.success());
        text(&output.stdout)
    });
    for (table, epochs) in printed.iter().zip(["`training.epochs` 1,", "`training.epochs` 2,"]) {
        assert_eq!(labels(table), ["Ours (Vanilla)", "Joint"]);
        assert!(table.contains(epochs) && !table.contains("No finished run"), "{table}");
    }
    let folder = lab.path().join("results/table1");
    let main = read(folder.join("table.md"));
    assert!(printed.contains(&main), "the main table is one of both");
    assert_eq!(succeed(&mut lab.mtcool(&["report", "table1"])), main, "the record belongs to the main table");
    assert_eq!(runs(&lab, "table1").len(), 4);
}

/// Waits until the run `run` has a checkpoint of a step, with a limit.
fn wait_for_steps(lab: &Lab, run: &str, child: &mut Child) {
    let started = Instant::now();
    let has_steps = || {
        let is_on = |stored: &StoredRun| stored.status.status == Status::Running && stored.status.step > 0;
        runs(lab, "table1").iter().any(|stored| stored.name() == run && is_on(stored))
    };
    while !has_steps() && started.elapsed() < Duration::from_secs(120) {
        assert!(child.try_wait().unwrap().is_none(), "the process ended before its first checkpoint");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The status of the run, and its metrics to the bit.
fn outcome(run: &StoredRun) -> (Status, Vec<(String, u64)>, Vec<u8>) {
    let rows = read_rows(&run.folder.join("metrics.parquet")).unwrap().into_iter();
    let bits = rows.map(|row| (format!("{} {} {} {}", row.step, row.split, row.task, row.metric), row.value.to_bits()));
    (run.status.status, bits.collect(), std::fs::read(run.folder.join("model.safetensors")).unwrap())
}

#[cfg(unix)]
#[test]
fn an_interrupted_sweep_says_what_was_kept_and_goes_on_with_the_same_bits() {
    let lab = Lab::new();
    // There are enough epochs that the run is not over when the signal arrives.
    let long = ["--methods", "joint", "--set", "training.epochs=40", "--checkpoint-seconds", "0.05"];
    for (signal, status) in [("-INT", 130), ("-TERM", 75), ("-USR1", 75)] {
        let mut child = lab.reproduce("results", &long).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for_steps(&lab, "joint-s0", &mut child);
        let running = &runs(&lab, "table1")[0];
        assert_eq!(running.status.status, Status::Running);
        assert!(running.status.train_seconds > 0.0, "the time is written with each checkpoint");
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{said}");
        for part in [
            "interrupted: joint-s0 is kept up to step",
            "of 40)",
            "0 of 1 runs are finished",
            "the same command goes on",
        ] {
            assert!(said.contains(part), "no `{part}` in {said}");
        }
        let stopped = &runs(&lab, "table1")[0];
        assert_eq!(stopped.status.status, Status::Interrupted);
        assert!(stopped.status.step >= running.status.step && stopped.status.started == running.status.started);
        let printed = succeed(&mut lab.mtcool(&["report", "table1"]));
        assert!(printed.contains("Interrupted: joint-s0 (epoch "), "{printed}");
        assert!(printed.contains("of 40); the same command goes on."), "{printed}");
    }
    // A process that is killed can write nothing, but nobody holds its run any more.
    let mut child = lab.reproduce("results", &long).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let step = runs(&lab, "table1")[0].status.step;
    while runs(&lab, "table1")[0].status.step == step && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(runs(&lab, "table1")[0].status.status, Status::Interrupted);
    succeed(&mut lab.reproduce("results", &long));
    succeed(&mut lab.reproduce("whole", &long));
    let whole = stored_runs(&lab.path().join("whole/table1/runs")).unwrap().runs;
    assert!(outcome(&runs(&lab, "table1")[0]) == outcome(&whole[0]), "other bits");
}

#[test]
fn a_process_with_nothing_left_to_take_ends_at_once() {
    let lab = Lab::new();
    let long = ["--methods", "joint", "--set", "training.epochs=40", "--checkpoint-seconds", "0.05"];
    let mut first = lab.reproduce("results", &long).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for_steps(&lab, "joint-s0", &mut first);
    let second = lab.reproduce("results", &long).output().unwrap();
    let said = text(&second.stderr);
    assert!(first.try_wait().unwrap().is_none(), "the first process was over before the second one");
    assert_eq!(second.status.code(), Some(3), "{said}");
    assert!(said.contains("other processes execute joint-s0") && said.contains("--wait"), "{said}");
    let waiting = succeed(lab.reproduce("results", &long).arg("--wait"));
    assert_eq!(labels(&waiting), ["Joint"]);
    assert!(first.wait().unwrap().success());
    assert_eq!(read(lab.path().join("results/table1/table.md")), waiting);
}

#[test]
fn a_process_whose_run_another_machine_has_taken_writes_no_more() {
    let lab = Lab::new();
    let long = ["--methods", "joint", "--set", "training.epochs=40", "--checkpoint-seconds", "0.05"];
    let mut child = lab.reproduce("results", &long).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_steps(&lab, "joint-s0", &mut child);
    // What a process of another machine writes that takes the run because this one was suspended for a while.
    let hash = runs(&lab, "table1")[0].hash.clone();
    let lease = lab.path().join("results/table1/runs/.locks").join(hash).join("1000000");
    let holder = |is_released: bool| {
        format!(
            r#"{{"host":"elsewhere","boot":"","volume":1,"process":7,"since":"2026-01-01","is_locked":false,"is_released":{is_released}}}"#
        )
    };
    std::fs::write(&lease, holder(false)).unwrap();
    let taken = std::time::SystemTime::now();
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("joint-s0: process 7 on elsewhere") && said.contains("has taken over"), "{said}");
    assert!(said.contains("other processes execute joint-s0"), "{said}");
    // At most the write that was going on was completed.
    let folder = runs(&lab, "table1")[0].folder.clone();
    let written = folder.join("run.json").metadata().unwrap().modified().unwrap();
    assert!(written.duration_since(taken).is_ok_and(|late| late < Duration::from_secs(2)) || written <= taken);
    assert_eq!(runs(&lab, "table1")[0].status.status, Status::Running, "the other machine's lease is young");
    assert_eq!(lab.reproduce("results", &long).output().unwrap().status.code(), Some(3));

    // The other machine gives it back; no bit is lost.
    std::fs::write(&lease, holder(true)).unwrap();
    assert_eq!(runs(&lab, "table1")[0].status.status, Status::Interrupted);
    succeed(&mut lab.reproduce("results", &long));
    succeed(&mut lab.reproduce("whole", &long));
    let whole = stored_runs(&lab.path().join("whole/table1/runs")).unwrap().runs;
    assert!(outcome(&runs(&lab, "table1")[0]) == outcome(&whole[0]), "other bits");
}
