//! An error about bad input names the input, the expected value and a remedy; results that exist are kept.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::process::Command;

use common::{Lab, fail, succeed, text};

#[test]
fn unknown_names_are_met_with_the_nearest_valid_one() {
    let lab = Lab::new();
    fail(
        &mut lab.reproduce("r", &["--set", "training.epoch=3"]),
        &["unknown key `training.epoch`", "did you mean `epochs`?"],
    );
    fail(
        &mut lab.reproduce("r", &["--set", "method.mtcool.lamda=1.0"]),
        &["unknown key `method.mtcool.lamda`", "did you mean `lambda`?"],
    );
    fail(&mut lab.reproduce("r", &["--set", "method.mtcol.bound=1.0"]), &["`mtcol`", "did you mean `mtcool`?"]);
    fail(
        &mut lab.reproduce("r", &["--methods", "joint,vanila"]),
        &["unknown method `vanila`", "did you mean `vanilla`?"],
    );
    fail(&mut lab.reproduce("r", &["--profile", "quik"]), &["unknown profile `quik`", "did you mean `quick`?"]);
    fail(&mut lab.mtcool(&["reproduce", "tabel1"]), &["unknown experiment `tabel1`", "did you mean `table1`?"]);
    fail(&mut lab.mtcool(&["data", "verify", "mnst"]), &["unknown data set `mnst`", "did you mean `mnist`?"]);
    let mut variable = lab.reproduce("r", &[]);
    fail(
        variable.env("MTCOOL_TRAINING__EPOSCH", "2"),
        &["unknown key `training.eposch`", "did you mean `epochs`?", "MTCOOL_"],
    );
    // A key is found in whatever table it is, and the last word of a message is an advice that works.
    let bounds = "`method.mtcool.bound` or `method.pivrg.bound` or `method.perturbed.bound`";
    for (key, meant) in [("epochs", "`training.epochs`"), ("bound", bounds), ("Batch-Size", "`training.batch_size`")] {
        let assignment = format!("{key}=3");
        fail(
            &mut lab.reproduce("r", &["--set", &assignment]),
            &[&format!("unknown key `{key}`"), &format!("did you mean {meant}?")],
        );
    }
    fail(&mut lab.mtcool(&["reproduce", ""]), &["a value is required"]);
    assert!(!lab.path().join("r").exists(), "an invalid configuration left something behind");
}

#[test]
fn a_file_without_its_first_table_is_told_which_tables_it_has() {
    let lab = Lab::new();
    std::fs::write(lab.path().join("own.toml"), "[defualt]\ntitle = \"Mine\"\n").unwrap();
    fail(&mut lab.mtcool(&["reproduce", "own.toml"]), &["own.toml", "no table `[default]`", "are `defualt`"]);
    std::fs::write(lab.path().join("own.toml"), "").unwrap();
    fail(&mut lab.mtcool(&["reproduce", "own.toml"]), &["own.toml", "no table `[default]`", "are no keys"]);
}

#[cfg(unix)]
#[test]
fn variables_are_read_as_assignments_and_those_of_others_do_not_matter() {
    use std::os::unix::ffi::OsStrExt;
    let lab = Lab::new();
    let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let mut command = lab.mtcool(&["reproduce", "table1", "--data", "data", "--results", "r"]);
    // A number with an exponent, a list, a name in other letters, and a string without quotes.
    command.env("MTCOOL_TRAINING__BATCH_SIZE", "16").env("MTCOOL_TRAINING__EPOCHS", "1").env("MTCOOL_SEEDS", "1");
    command.env("MTCOOL_TRAINING__WEIGHT_DECAY", "1e-3").env("MTCOOL_NETWORK__WIDTHS", "[10, 20, 40]");
    command.env("MTCOOL_METHODS", "[\"PC-Grad\"]").env("MTCOOL_TRAINING__SCHEDULE", "constant");
    command.env("OTHER", odd).env(odd, "other");
    let table = succeed(&mut command);
    assert!(table.contains("| PCGrad") && !table.contains("| Joint"), "{table}");
    let config = std::fs::read_to_string(lab.run_folder("r", "pcgrad-s0").join("config.toml")).unwrap();
    for line in ["weight_decay = 0.001", "schedule = \"constant\"", "method = \"pcgrad\""] {
        assert!(config.contains(line), "no `{line}` in {config}");
    }
    // The report needs no variables, since the record of the sweep has them.
    let report = succeed(&mut lab.mtcool(&["report", "table1", "--results", "r"]));
    assert!(report.contains("PCGrad"), "{report}");
    let mut broken = lab.reproduce("r", &[]);
    fail(broken.env("MTCOOL_TRAINING__EPOCHS", odd), &["`MTCOOL_TRAINING__EPOCHS` is not valid Unicode"]);
}

#[test]
fn any_table_trains_for_a_few_epochs() {
    let lab = Lab::new();
    let few = ["--methods", "MT-COOL,joint", "--set", "method.mtcool.warmup_iterations=800"];
    let output = lab.reproduce("r", &few).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let note = "MT-COOL (Ours): the warm-up of 800 iterations does not fit into";
    assert!(said.contains(note), "{said}");
    assert!(text(&output.stdout).contains(note), "{}", text(&output.stdout));
    let config = std::fs::read_to_string(lab.run_folder("r", "mtcool-s0").join("config.toml")).unwrap();
    assert!(config.contains("warmup_iterations = ") && !config.contains("warmup_iterations = 800"), "{config}");
    // The shortened run is the run with these settings, and the report finds it.
    let report = succeed(&mut lab.mtcool(&["report", "table1", "--results", "r"]));
    assert!(report.contains("MT-COOL") && report.contains(note), "{report}");
}

#[test]
fn every_table_has_a_profile_for_a_first_look() {
    let lab = Lab::new();
    for (table, methods) in [("table1", 9), ("table2", 7), ("table3", 7)] {
        let printed = succeed(&mut lab.mtcool(&["reproduce", table, "--profile", "smoke"]));
        let rows = printed.lines().filter(|line| line.starts_with('|')).count();
        assert!(rows >= methods + 2, "{printed}");
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_went_away_is_no_error() {
    let lab = Lab::new();
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    for arguments in [&["methods"][..], &["data", "verify", "mnist", "--data", "data"]] {
        let output = lab.mtcool(arguments).stdout(closed()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        fail(lab.mtcool(arguments).stdout(full), &["standard output cannot be written"]);
    }
    let mut command = lab.reproduce("r", &["--methods", "joint"]);
    assert!(command.stdout(closed()).stderr(closed()).status().unwrap().success());
    assert!(lab.path().join("r/table1/table.md").exists());
    for command in ["report", "status", "runs"] {
        let output = lab.mtcool(&[command, "table1", "--results", "r"]).stdout(closed()).output().unwrap();
        assert!(output.status.success(), "{command}: {}", text(&output.stderr));
    }
}

#[test]
fn an_unknown_key_in_a_file_names_the_file() {
    let lab = Lab::new();
    let table1 = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/table1.toml")).unwrap();
    let file = lab.path().join("mine.toml");
    std::fs::write(&file, table1.replace("momentum =", "momentun =")).unwrap();
    fail(
        &mut lab.mtcool(&["reproduce", "mine.toml"]),
        &["mine.toml", "`training.momentun`", "did you mean `momentum`?"],
    );
    let (before, paper) = table1.split_once("[default.paper]").unwrap();
    let (_, reference) = paper.split_once("[default.reference]").unwrap();
    std::fs::write(&file, format!("{before}[default.reference]{reference}")).unwrap();
    fail(&mut lab.mtcool(&["reproduce", "mine.toml"]), &["`paper` is missing", "`runs` and `tolerance`"]);
    std::fs::write(&file, "[default\n").unwrap();
    fail(&mut lab.mtcool(&["reproduce", "mine.toml"]), &["mine.toml"]);
    fail(&mut lab.mtcool(&["reproduce", "other.toml"]), &["other.toml", "No such file"]);
}

#[test]
fn values_out_of_range_are_named_with_their_range() {
    let lab = Lab::new();
    let cases = [
        ("method.mtcool.bound=-0.1", "`bound` is -0.1: expected a positive number"),
        (
            "method.mtcool.bound=nan",
            "`method.mtcool.bound` in the command line (`method.mtcool.bound=nan`) is NaN: expected a finite number",
        ),
        ("method.mtcool.samples=1000000", "`samples` is 1000000: expected at most 10000"),
        ("method.mtcool.samples=0", "`samples` is 0: expected at least 1"),
        ("method.mtcool.lambda=-1", "`lambda` is -1: expected at least 0"),
        ("method.joint.learning_rate=0", "`learning_rate` is 0: expected a positive number"),
        ("training.momentum=1.5", "`momentum` is 1.5: expected at least 0 and below 1"),
        ("training.epochs=0", "`training.epochs` is 0: expected at least 1"),
        (
            "training.epochs=many",
            "`training.epochs` in the command line (`training.epochs=many`): expected a whole number, at least 0, found string",
        ),
        (
            "training.epochs=18446744073709551615",
            "`training.epochs=18446744073709551615`: expected whole numbers up to",
        ),
        ("seeds=[9223372036854775808]", "expected whole numbers up to 9223372036854775807"),
        ("search.seed=9223372036854775808", "expected whole numbers up to 9223372036854775807"),
        ("data.synthetic={ seed = 9223372036854775808 }", "expected whole numbers up to 9223372036854775807"),
        ("training.epochs=9000000000000000000", "`training.epochs` is 9000000000000000000: expected at most 1000000"),
        (
            "training.optimizer=adam",
            "`training.optimizer` in the command line (`training.optimizer=adam`) is `adam`: expected `sgd` or `adamw`; did you mean `adamw`?",
        ),
        ("training=3", "`training` in the command line (`training=3`): expected a table, found"),
        ("network.widths=[10, 20, 9000000000]", "`network.widths` is 9000000000: expected at most 65536"),
        (
            "seeds=20240101",
            "`seeds` is 20240101: expected a number of runs of each method, at most 1000; if a seed was meant, write `--seeds 20240101,`",
        ),
        ("training.batch_size=100000", "`batch_size` is 100000: expected at least 1 and at most the"),
        ("network.widths=[1, 20, 50]", "a layer of 1 channels cannot be shared by 2 tasks"),
        ("network.fusion=concta", "did you mean `concat`?"),
        ("device=gpu", "`device` is gpu: expected `cpu`, or `cuda:0`"),
        ("method.mtcool.inner_iterations=300", "need 305 batches of each task, but 2 epochs are"),
        ("seeds=0", "`seeds` is 0: expected at least 1"),
        ("methods=[\"joint\", \"joint\"]", "each method once"),
        ("paper.runs=1", "`paper.runs` is 1: expected at least 2"),
        ("paper.tolerance.\"odd.accuracy\"=0.0", "`paper.tolerance` has no number above 0 for `odd.accuracy`"),
    ];
    for (assignment, message) in cases {
        fail(&mut lab.reproduce("r", &["--set", assignment]), &[message]);
    }
    fail(&mut lab.reproduce("r", &["--set", "training.epochs"]), &["expected KEY=VALUE"]);
    fail(&mut lab.reproduce("r", &["--set", "=3"]), &["`=3`: expected KEY=VALUE"]);
    fail(&mut lab.reproduce("r", &["--seeds", "9223372036854775808,"]), &["expected whole numbers up to"]);
    fail(&mut lab.reproduce("r", &["--only", "joint:9223372036854775808"]), &["expected whole numbers up to"]);
    fail(&mut lab.mtcool(&["data", "synth", "mnist", "--seed", "9223372036854775808"]), &["9223372036854775808"]);
    fail(
        &mut lab.mtcool(&["data", "synth", "mnist", "--train", "9223372036854775807"]),
        &["`data.synthetic.train` is"],
    );
    for (flag, value) in [("--draws", "0"), ("--draws", "1000000000"), ("--batches", "1000000000"), ("--radii", "nan")]
    {
        fail(&mut lab.mtcool(&["flatness", "table1", flag, value]), &[&format!("`{flag}`")]);
    }
    fail(&mut lab.reproduce("r", &["--threads", "0"]), &["`--threads` is 0"]);
    for seconds in ["1e20", "nan", "-1", "inf"] {
        let flag = format!("--checkpoint-seconds={seconds}");
        fail(&mut lab.reproduce("r", &[&flag]), &["`--checkpoint-seconds` is", "a number of seconds from 0 to"]);
    }
}

#[test]
fn methods_that_do_not_fit_are_named_with_the_reason() {
    let lab = Lab::new();
    let cases: [(&str, &[&str], &[&str]); 6] = [
        ("krum", &[], &["method.krum", "at least 3 tasks", "has 2"]),
        ("fairgrad", &["method.fairgrad.alpha=-1"], &["method.fairgrad", "`alpha` is -1: expected a positive number"]),
        ("sam", &["method.sam.around=mgda"], &["method.sam.around", "`mgda`: expected a method that weighs losses"]),
        ("cr_mogm", &["method.cr_mogm.around=graddrop"], &["CR-MOGM", "a weight to each gradient"]),
        ("cr_mogm", &["method.cr_mogm.alpha=slow"], &["method.cr_mogm.alpha", "growing"]),
        ("stch", &["method.stch.preference=[1.0, 2.0, 3.0]"], &["`preference`", "2 numbers, one per task"]),
    ];
    for (method, settings, messages) in cases {
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        let arguments: Vec<&str> = ["--methods", method].into_iter().chain(settings).collect();
        fail(&mut lab.reproduce("r", &arguments), messages);
    }
    fail(&mut lab.mtcool(&["methods", "--explain", "fairgard"]), &["did you mean `fairgrad`?"]);
    fail(&mut lab.mtcool(&["methods", "--kind", "aggregators"]), &["`--kind aggregators`: expected separate"]);
}

#[test]
fn damaged_data_is_named_before_any_training() {
    let lab = Lab::new();
    let mut elsewhere = lab.mtcool(&["reproduce", "table1", "--data", "nowhere", "--results", "r"]);
    fail(&mut elsewhere, &["no MNIST in `nowhere`", "train-images-idx3-ubyte", "cargo xtask data fetch mnist"]);
    let file = lab.data().join("t10k-images-idx3-ubyte");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..5000]).unwrap();
    fail(
        &mut lab.reproduce("r", &[]),
        &["t10k-images-idx3-ubyte", "78416 bytes by its own header", "5000 bytes (truncated)"],
    );
    let mut changed = whole.clone();
    changed[3000] ^= 255;
    std::fs::write(&file, changed).unwrap();
    fail(&mut lab.reproduce("r", &[]), &["t10k-images-idx3-ubyte", "expected MD5"]);
    fail(&mut lab.mtcool(&["data", "verify", "mnist", "--data", "data"]), &["t10k-images-idx3-ubyte", "expected MD5"]);
    std::fs::write(&file, whole).unwrap();
    succeed(&mut lab.mtcool(&["data", "verify", "mnist", "--data", "data"]));
}

#[test]
fn a_results_folder_that_cannot_be_written_is_named() {
    let lab = Lab::new();
    std::fs::write(lab.path().join("file"), "in the way").unwrap();
    fail(&mut lab.reproduce("file", &[]), &["cannot create `file/table1`", "--results DIR"]);
    // Nobody can create a folder in the kernel's own file system, not even root.
    if cfg!(target_os = "linux") {
        fail(&mut lab.reproduce("/proc/results", &[]), &["cannot create `/proc/results/table1`", "--results DIR"]);
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_stops_the_sweep_and_costs_nothing_that_was_done() {
    let lab = Lab::new();
    succeed(&mut lab.reproduce("r", &["--methods", "joint"]));
    let kept = lab.rows("r", "joint-s0");
    // A limit on the size of files simulates a full disk: a checkpoint's model (87 kB) exceeds it.
    let program = lab.reproduce("r", &["--methods", "joint,mtcool"]);
    let mut limited = Command::new("sh");
    limited.current_dir(lab.path()).args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\""]);
    limited.arg(program.get_program()).args(program.get_args());
    limited.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    fail(&mut limited, &["cannot write", "mtcool-s0", "there is no room left", "start the same command again"]);
    assert_eq!(lab.rows("r", "joint-s0"), kept);
    succeed(&mut lab.reproduce("r", &["--methods", "joint,mtcool"]));
    succeed(&mut lab.reproduce("whole", &["--methods", "mtcool"]));
    assert_eq!(lab.rows("r", "mtcool-s0"), lab.rows("whole", "mtcool-s0"));
}

#[test]
fn a_run_that_diverges_is_marked_and_the_others_go_on() {
    let lab = Lab::new();
    let wild = ["--methods", "joint,vanilla", "--set", "method.joint.learning_rate=1e30"];
    let output = fail(
        &mut lab.reproduce("r", &wild),
        &["1 of 2 runs failed", "joint-s0", "the loss of task", "lower the learning rate"],
    );
    assert!(
        !text(&output.stderr)
            .contains("training diverged; lower the learning rate, or look for bad values in the data: the loss")
    );
    let table = text(&output.stdout);
    assert!(table.contains("FAILED: joint-s0: step ") && table.contains("task `"), "{table}");
    let status = std::fs::read_to_string(lab.run_folder("r", "joint-s0").join("run.json")).unwrap();
    assert!(status.contains("\"failed\""), "{status}");
    assert!(lab.rows("r", "vanilla-s0").iter().any(|row| row.split == "test"));
    // The run would diverge again, so it is not executed again and still counts as failed.
    let again = fail(&mut lab.reproduce("r", &wild), &["1 of 2 runs failed"]);
    assert!(!text(&again.stderr).contains("the other runs go on"));
}

#[test]
fn a_kl_term_that_cannot_act_is_warned_of_once() {
    let lab = Lab::new();
    let arguments = [
        "--methods",
        "mtcool,no_regularizer",
        "--seeds",
        "2",
        "--set",
        "method.mtcool.samples=1",
        "--set",
        "training.epochs=1",
    ];
    let output = lab.reproduce("r", &arguments).output().unwrap();
    assert!(output.status.success());
    assert_eq!(text(&output.stderr).matches("the KL term is 0").count(), 1, "{}", text(&output.stderr));
}

#[test]
fn a_checkpoint_that_is_damaged_or_another_networks_is_named_with_the_way_out() {
    let lab = Lab::new();
    let newest = || {
        let folder = lab.run_folder("r", "joint-s0").join("checkpoints");
        let mut all: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        all.sort();
        all.pop().unwrap()
    };
    let unfinish = || {
        let path = lab.run_folder("r", "joint-s0").join("run.json");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"finished\"", "\"running\"")).unwrap();
    };
    let joint = ["--methods", "joint"];
    succeed(&mut lab.reproduce("r", &joint));
    let whole = lab.rows("r", "joint-s0");
    unfinish();
    let model = newest().join("model.safetensors");
    let bytes = std::fs::read(&model).unwrap();
    std::fs::write(&model, &bytes[..bytes.len() / 2]).unwrap();
    let parts = [
        "joint-s0",
        "model.safetensors",
        "is damaged or was changed",
        "delete `",
        "to continue from the previous checkpoint",
    ];
    fail(&mut lab.reproduce("r", &joint), &parts);

    succeed(&mut lab.reproduce("other", &["--methods", "joint", "--set", "network.widths=[10, 20, 60]"]));
    std::fs::copy(lab.run_folder("other", "joint-s0").join("model.safetensors"), &model).unwrap();
    // Checkpoints of earlier versions have no list of their files.
    std::fs::remove_file(newest().join("files.json")).unwrap();
    let parts = ["belongs to another network", "`theta.0.fc.weight`", "[25, 320]", "[30, 320]"];
    fail(&mut lab.reproduce("r", &joint), &parts);

    // This is the remedy that the message names.
    std::fs::remove_dir_all(newest()).unwrap();
    succeed(&mut lab.reproduce("r", &joint));
    assert_eq!(lab.rows("r", "joint-s0"), whole);
}
