//! What helps around training: short checks of the whole way, overfit diagnoses, times of epochs, the live view, and what the program
//! says of itself: papers to cite, completions, manual pages.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{HRF_AV, Lab, REFUGE, fail, find_run, metrics, succeed, text};
use mtcool_bench::record::{EpochTimes, Row, TIME, read_rows};

/// The command with a temporary folder of its own, and that folder.
fn with_temporary(lab: &Lab, mut command: Command) -> (Command, PathBuf) {
    let place = lab.path().join("temporary");
    std::fs::create_dir_all(&place).unwrap();
    command.env("TMPDIR", &place);
    (command, place)
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

/// The rows of the split `split`, without their place in the run.
fn values(run: &Path, split: &str) -> Vec<(String, String, u64)> {
    let last = metrics(run).into_iter().filter(|row| row.split == split);
    let last: Vec<Row> = last.collect();
    let epoch = last.iter().map(|row| row.epoch).max().unwrap();
    let of_epoch = last.into_iter().filter(|row| row.epoch == epoch);
    let mut found: Vec<_> = of_epoch.map(|row| (row.task, row.metric, row.value.to_bits())).collect();
    found.sort();
    found
}

#[test]
fn a_fast_dev_run_tries_every_row_and_keeps_nothing() {
    let lab = Lab::new();
    let (mut command, place) = with_temporary(&lab, lab.reproduce("results", &["--fast-dev-run", "--methods", "all"]));
    let printed = succeed(&mut command);
    let works: Vec<&str> = printed.lines().filter(|line| line.contains(" works (")).collect();
    let registry = mtcool_bench::Registry::builtin();
    // `all` stands for the methods that are defined for two tasks.
    let entries: Vec<_> = registry.methods().iter().filter(|entry| entry.least_tasks <= 2).collect();
    assert_eq!(works.len(), entries.len(), "{printed}");
    for entry in entries {
        assert!(works.iter().any(|line| line.trim_start().starts_with(&format!("{} ", entry.name))), "{}", entry.name);
    }
    assert!(printed.lines().last().unwrap().contains("Nothing was kept"), "{printed}");
    assert!(is_empty(&place) && !lab.path().join("results").exists(), "something was kept");

    // `sweep` writes no script, and Slurm is not asked.
    let arguments = ["--fast-dev-run", "--slurm", "--methods", "joint"];
    let (mut command, place) = with_temporary(&lab, lab.table1("sweep", "results", &arguments));
    let printed = succeed(&mut command);
    assert!(printed.contains("joint  works (") && printed.contains("Nothing was kept"), "{printed}");
    assert!(is_empty(&place) && !lab.path().join("results").exists(), "something was kept");
}

#[test]
fn a_row_that_fails_is_told_and_the_others_are_tried() {
    let lab = Lab::new();
    let arguments = ["--fast-dev-run", "--methods", "joint,pcgrad,mtcool", "--set", "method.pcgrad.learning_rate=1e30"];
    let (mut command, place) = with_temporary(&lab, lab.reproduce("results", &arguments));
    let output = fail(&mut command, &["1 of 3 rows failed"]);
    let printed = text(&output.stdout);
    for (method, end) in [("joint", "works ("), ("pcgrad", "FAILED: pcgrad-s0"), ("mtcool", "works (")] {
        let line = printed.lines().find(|line| line.trim_start().starts_with(method)).unwrap();
        assert!(line.contains(end), "{line}");
    }
    assert!(is_empty(&place), "the temporary folder stays");
    // A mistake of the file is found before anything is trained.
    let wrong = ["--fast-dev-run", "--set", "training.epoch=3"];
    fail(&mut lab.reproduce("results", &wrong), &["`training.epoch`", "did you mean `epochs`?"]);
    // A batch that is larger than the data is found as in the sweep itself.
    let large = ["--fast-dev-run", "--methods", "joint", "--set", "training.batch_size=4000"];
    let printed = text(&fail(&mut lab.reproduce("results", &large), &["1 of 1 rows failed"]).stdout);
    assert!(printed.contains("FAILED: ") && printed.contains("batch_size"), "{printed}");
}

#[test]
fn every_data_set_has_short_checks_and_overfit_diagnoses() {
    let lab = Lab::new();
    let experiment = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments/own.toml");
    let own = [
        &["reproduce", experiment.to_str().unwrap(), "--set", "data.synthetic={ train = 40, test = 12, seed = 1 }"][..],
        &["--set", "network.widths=[10, 20]", "--set", "training.epochs=3"],
    ]
    .concat();
    for (name, table, examples) in [("table2", &REFUGE[..], "4"), ("table3", &HRF_AV, "2"), ("own", &own, "6")] {
        let printed = succeed(lab.mtcool(table).args(["--fast-dev-run", "--methods", "independent,mtcool,joint"]));
        assert_eq!(printed.matches(" works (").count(), 3, "{name}: {printed}");
        assert!(!lab.path().join("results").join(name).exists(), "{name}");

        let printed = succeed(lab.mtcool(table).args(["--overfit", examples, "--methods", "joint", "--seeds", "1"]));
        let title = format!("OVERFIT DIAGNOSIS on {examples} training examples");
        assert!(printed.lines().next().unwrap().contains(&title), "{printed}");
        let run = find_run(&lab.path().join("results").join(name), "joint-s0");
        let (validation, test) = (values(&run, "validation"), values(&run, "test"));
        assert!(!test.is_empty() && validation == test, "{name}: the same examples\n{validation:?}\n{test:?}");
        let record: serde_json::Value = serde_json::from_slice(&std::fs::read(run.join("data.json")).unwrap()).unwrap();
        assert_eq!(record["train"], record["test"], "{name}");
        assert_eq!(record["train"].as_array().unwrap().len().to_string(), examples, "{name}");
    }
}

#[test]
fn a_network_fits_a_few_examples_and_the_table_is_kept_apart() {
    let lab = Lab::new();
    let joint = ["--methods", "joint", "--set", "training.epochs=60"];
    let overfit = [&joint[..], &["--overfit", "10"]].concat();
    let printed = succeed(&mut lab.reproduce("results", &overfit));
    assert!(printed.contains("trained on 10 examples of the training part"), "{printed}");
    assert!(printed.contains("not comparable with published results"), "{printed}");
    let run = lab.run_folder("results", "joint-s0");
    let accuracies: Vec<f64> = lab
        .rows("results", "joint-s0")
        .into_iter()
        .filter(|row| row.split == "test" && row.metric == "accuracy")
        .map(|row| row.value)
        .collect();
    assert_eq!(accuracies, [100.0, 100.0], "ten digits of each task are learned by heart");
    let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(config.contains("overfit = 10\n") && config.contains("batch_size = 10\n"), "{config}");
    let folder = lab.path().join("results/table1");
    assert!(!folder.join("table.md").exists(), "a diagnosis became the main table");
    assert_eq!(std::fs::read_dir(folder.join("tables")).unwrap().count(), 1);

    // A result is another run, and its table the main one, which the diagnosis leaves alone.
    let usual = succeed(&mut lab.reproduce("results", &["--methods", "joint"]));
    assert!(!usual.contains("OVERFIT"), "{usual}");
    assert_eq!(std::fs::read_to_string(folder.join("table.md")).unwrap(), usual);
    assert_eq!(
        std::fs::read_dir(folder.join("runs"))
            .unwrap()
            .flatten()
            .filter(|run| run.path().join("run.json").exists())
            .count(),
        2
    );
    let again = succeed(&mut lab.reproduce("results", &overfit));
    assert!(again.contains("OVERFIT"), "{again}");
    assert_eq!(std::fs::read_to_string(folder.join("table.md")).unwrap(), usual);
}

#[test]
fn an_overfit_diagnosis_needs_so_many_examples() {
    let lab = Lab::new();
    for (count, parts) in [
        ("0", &["`overfit` is 0: expected at least 1"][..]),
        ("4000", &["`overfit` is 4000", "the training part has 2", "`--overfit 8`"]),
        ("many", &["--overfit", "many"]),
    ] {
        fail(&mut lab.reproduce("results", &["--methods", "joint", "--overfit", count]), parts);
    }
}

#[test]
fn every_epoch_tells_where_its_time_goes_and_the_results_are_the_same() {
    let lab = Lab::new();
    let sweep = ["--methods", "mtcool,mgda"];
    succeed(&mut lab.reproduce("timed", &sweep));
    succeed(lab.reproduce("plain", &sweep).args(["--set", "log_times=false"]));
    for run in ["mtcool-s0", "mgda-s0"] {
        let [timed, plain] = ["timed", "plain"].map(|results| lab.run_folder(results, run));
        assert_eq!(timed.file_name(), plain.file_name(), "times are no part of the run's identity");
        let all = read_rows(&timed.join("metrics.parquet")).unwrap();
        let (times, others): (Vec<Row>, Vec<Row>) = all.into_iter().partition(|row| row.split == TIME);
        assert_eq!(others, read_rows(&plain.join("metrics.parquet")).unwrap());
        let model = |run: &Path| std::fs::read(run.join("model.safetensors")).unwrap();
        assert!(model(&timed) == model(&plain), "{run}");
        let named: Vec<(u64, &str)> = times.iter().map(|row| (row.epoch, row.metric.as_str())).collect();
        let parts = ["data", "forward", "backward", "method", "evaluation"];
        let expected: Vec<(u64, &str)> = [1, 2].into_iter().flat_map(|epoch| parts.map(|part| (epoch, part))).collect();
        assert_eq!(named, expected);
        assert!(times.iter().all(|row| row.value >= 0.0 && row.value.is_finite()), "{times:?}");
        // The steps' parts are all of the training time.
        let status: serde_json::Value =
            serde_json::from_slice(&std::fs::read(timed.join("run.json")).unwrap()).unwrap();
        let steps: f64 = times.iter().filter(|row| row.metric != "evaluation").map(|row| row.value).sum();
        let whole = status["train_seconds"].as_f64().unwrap();
        assert!((steps - whole).abs() < 0.05 * whole, "{steps} s of {whole} s");
        let last = EpochTimes::of_last_epoch(&times).unwrap();
        assert!(last.forward > 0.0 && last.backward > 0.0 && last.method > 0.0 && last.evaluation > 0.0, "{last:?}");
    }
    // Tables and lists leave times out.
    let runs = std::fs::read_to_string(lab.path().join("timed/table1/runs.csv")).unwrap();
    assert!(!runs.contains(",time,run,"), "{runs}");
}

#[test]
fn a_running_run_says_where_its_time_goes() {
    let lab = Lab::new();
    let mut command = lab.reproduce("results", &["--methods", "joint", "--set", "training.epochs=100000"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = String::new();
    for _ in 0..600 {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let output = lab.mtcool(&["status", "table1"]).output().unwrap();
        said = text(&output.stdout);
        if said.contains(" s per epoch: data ") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.contains("running") && said.contains(" s per epoch: data ") && said.contains("backward"), "{said}");
}

/// The bytes that `program` writes to a terminal of its own; `None` where the program `script` is missing. `script` gives it a terminal,
/// and hands on its status.
#[cfg(target_os = "linux")]
fn in_a_terminal(lab: &Lab, program: &Command) -> Option<std::process::Output> {
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().unwrap());
    let words: Vec<String> = std::iter::once(program.get_program()).chain(program.get_args()).map(quoted).collect();
    let mut command = Command::new("script");
    command.args(["-q", "-e", "-c", &format!("stty rows 30 cols 100; exec {}", words.join(" ")), "/dev/null"]);
    command.current_dir(lab.path()).env("TERM", "xterm").stdin(Stdio::null());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.output().ok()
}

/// The sequences that give the screen to a program and back.
#[cfg(target_os = "linux")]
const SCREENS: [&str; 2] = ["\u{1b}[?1049h", "\u{1b}[?1049l"];

#[cfg(target_os = "linux")]
#[test]
fn the_live_view_fills_a_terminal_and_gives_it_back() {
    let lab = Lab::new();
    let sweep = ["--methods", "joint,mtcool", "--set", "training.epochs=12"];
    let Some(output) = in_a_terminal(&lab, &lab.reproduce("results", &sweep)) else {
        eprintln!("skipped: there is no program `script`");
        return;
    };
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{shown}");
    let [open, close] =
        SCREENS.map(|sequence| shown.find(sequence).unwrap_or_else(|| panic!("no {sequence:?}: {shown}")));
    assert!(open < close, "{open} {close}");
    let (view, after) = shown.split_at(close);
    for words in ["table1:", "joint-s0", "mtcool-s0", "waiting", "conflict", "memory"] {
        assert!(view.contains(words), "no `{words}` in {view}");
    }
    // The log and the table stand in the terminal afterwards.
    assert!(after.contains("joint-s0 is finished") && after.contains("| Joint "), "{after}");

    // Plain lines need no screen.
    let lines = [&sweep[..], &["--progress", "lines"]].concat();
    let shown = text(&in_a_terminal(&lab, &lab.reproduce("lines", &lines)).unwrap().stdout);
    assert!(!shown.contains(SCREENS[0]) && shown.contains("mtcool-s0 is finished"), "{shown}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_gives_the_terminal_back() {
    let lab = Lab::new();
    let mut program = Command::new("timeout");
    let long = lab.reproduce("results", &["--methods", "joint", "--set", "training.epochs=100000"]);
    program.args(["--foreground", "-s", "INT", "10"]).arg(long.get_program()).args(long.get_args());
    for (name, value) in long.get_envs() {
        match value {
            Some(value) => program.env(name, value),
            None => program.env_remove(name),
        };
    }
    let Some(output) = in_a_terminal(&lab, &program) else {
        eprintln!("skipped: there is no program `script`");
        return;
    };
    let shown = text(&output.stdout);
    let close = shown.rfind(SCREENS[1]).unwrap_or_else(|| panic!("the screen is not given back: {shown}"));
    assert_eq!(shown.matches(SCREENS[0]).count(), 1, "{shown}");
    assert!(shown[close..].contains("stopping after this step"), "{shown}");
    assert!(shown[close..].contains("interrupted: "), "{shown}");
}

#[test]
fn papers_are_cited_for_an_experiment_a_run_and_methods() {
    let lab = Lab::new();
    let cite = |arguments: &[&str]| succeed(&mut lab.mtcool(&[&["cite"], arguments].concat()));
    let plain = cite(&[]);
    assert!(plain.starts_with("@misc{wu2023mtcool,") && plain.contains("@misc{mtcool,"), "{plain}");
    assert_eq!(plain.matches('@').count(), 2, "{plain}");
    let table = cite(&["table1"]);
    for paper in ["sener2018mgda", "yu2020pcgrad", "chen2020graddrop", "liu2021cagrad", "caruana1997joint"] {
        assert_eq!(table.matches(&format!("@misc{{{paper},")).count(), 1, "{table}");
    }
    assert_eq!(table.matches('@').count(), 7, "{table}");
    let of_methods = cite(&["--methods", "fairgrad", "--plain"]);
    assert!(
        of_methods.contains("Ban and Ji: Fair resource allocation in multi-task learning. 2024. (FairGrad)"),
        "{of_methods}"
    );
    assert!(cite(&["--methods", "all"]).matches('@').count() > 35);

    // The run of a wrapper names the method inside as well.
    succeed(&mut lab.reproduce("results", &["--methods", "f_mtl", "--set", "method.f_mtl.around=cagrad"]));
    let run = lab.run_folder("results", "f_mtl-s0");
    let of_run = cite(&[run.to_str().unwrap(), "--plain"]);
    assert!(of_run.contains("(F-MTL)") && of_run.contains("(CAGrad)"), "{of_run}");
    fail(&mut lab.mtcool(&["cite", "tabel1"]), &["did you mean `table1`?"]);
    fail(&mut lab.mtcool(&["cite", "--methods", "fairgard"]), &["did you mean `fairgrad`?"]);
}

#[test]
fn shells_and_man_know_the_commands() {
    let lab = Lab::new();
    for (shell, words) in [
        ("bash", &["complete -F", "reproduce", "--fast-dev-run"][..]),
        ("zsh", &["#compdef mtcool", "--overfit"]),
        ("fish", &["complete -c mtcool", "overfit"]),
        ("powershell", &["Register-ArgumentCompleter", "--overfit"]),
        ("elvish", &["edit:completion", "--overfit"]),
    ] {
        let script = succeed(&mut lab.mtcool(&["completions", shell]));
        for words in words {
            assert!(script.contains(words), "{shell}: no `{words}`");
        }
    }
    // What bash itself says of its script.
    let script = succeed(&mut lab.mtcool(&["completions", "bash"]));
    std::fs::write(lab.path().join("mtcool.bash"), script).unwrap();
    let asked = "source mtcool.bash; COMP_WORDS=(mtcool repro); COMP_CWORD=1; _mtcool mtcool repro mtcool; echo ${COMPREPLY[*]}";
    if let Ok(output) = Command::new("bash").current_dir(lab.path()).args(["--norc", "-c", asked]).output() {
        assert_eq!(text(&output.stdout).trim(), "reproduce", "{}", text(&output.stderr));
    }
    fail(&mut lab.mtcool(&["completions", "basic"]), &["basic", "bash"]);

    let said = succeed(&mut lab.mtcool(&["man", "pages"]));
    assert!(said.contains("man pages/mtcool.1"), "{said}");
    let page = |name: &str| std::fs::read_to_string(lab.path().join("pages").join(name)).unwrap();
    assert!(page("mtcool.1").contains("reproduce") && page("mtcool-reproduce.1").contains("fast\\-dev\\-run"));
    assert!(page("mtcool-data-fetch.1").starts_with(".ie") || page("mtcool-data-fetch.1").contains(".TH"));
    fail(&mut lab.mtcool(&["man", "pages/mtcool.1/inside"]), &["pages/mtcool.1"]);
}
