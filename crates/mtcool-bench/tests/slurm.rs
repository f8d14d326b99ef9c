//! A sweep as a job array ends with the bits of a plain sweep, in a real Slurm and without one, whatever interrupts it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![cfg(unix)]

mod common;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::slurm::{Cluster, wait_until};
use common::{Lab, fail, metrics, succeed, text};
use mtcool_bench::record::{Environment, Status, StoredRun, stored_runs};

/// A sweep of four runs: `joint:0`, `vanilla:0`, `joint:1`, `vanilla:1`. They are long enough to be met while they run.
const SWEEP: [&str; 8] =
    ["--methods", "joint,vanilla", "--seeds", "2", "--set", "training.epochs=60", "--checkpoint-seconds", "0.05"];

/// The runs of Table 1 in the folder `results`.
fn runs(lab: &Lab, results: &str) -> Vec<StoredRun> {
    stored_runs(&lab.path().join(results).join("table1/runs")).unwrap().runs
}

fn run(lab: &Lab, results: &str, name: &str) -> Option<StoredRun> {
    runs(lab, results).into_iter().find(|run| run.name() == name)
}

/// Waits until the run has a checkpoint and is executed.
fn wait_for_steps(lab: &Lab, results: &str, name: &str) {
    let is_on = |run: StoredRun| run.status.status == Status::Running && run.status.step > 0;
    wait_until(&format!("steps of {name}"), || run(lab, results, name).is_some_and(is_on));
}

/// A run's name, its metrics (place, bits) and the bytes of its model.
type Outcome = (String, Vec<(String, u64)>, Vec<u8>);

/// Name, metrics (place and bits) and the bytes of the model of every run.
fn outcome(lab: &Lab, results: &str) -> Vec<Outcome> {
    let of_run = |run: StoredRun| {
        assert_eq!(run.status.status, Status::Finished, "{}", run.name());
        let rows = metrics(&run.folder).into_iter();
        let bits =
            rows.map(|row| (format!("{} {} {} {}", row.step, row.split, row.task, row.metric), row.value.to_bits()));
        (run.name(), bits.collect(), std::fs::read(run.folder.join("model.safetensors")).unwrap())
    };
    runs(lab, results).into_iter().map(of_run).collect()
}

/// The script that `mtcool sweep` has written; there is one.
fn script(lab: &Lab, results: &str) -> PathBuf {
    let folders = std::fs::read_dir(lab.path().join(results).join("table1/sweeps")).unwrap();
    let mut scripts: Vec<PathBuf> = folders.map(|folder| folder.unwrap().path().join("sweep.sh")).collect();
    assert_eq!(scripts.len(), 1, "{scripts:?}");
    scripts.remove(0)
}

/// `bash` with the script.
fn bash(script: &PathBuf, arguments: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command.arg(script).args(arguments);
    command
}

/// Submits a sweep; returns the numbers of the job of its elements and of the job of its table.
fn submit(cluster: &Cluster, lab: &Lab, sweep: &[&str], further: &[&str]) -> [String; 2] {
    let mut command = lab.table1("sweep", "array", sweep);
    let said = succeed(cluster.enter(command.arg("--slurm").args(further)));
    assert!(said.contains("squeue --jobs=") && said.contains("status table1 --results"), "{said}");
    let after = |part: &str| -> String {
        let (_, rest) = said.split_once(part).unwrap();
        rest.chars().take_while(char::is_ascii_digit).collect()
    };
    [after("Submitted: job "), after("and job ")]
}

/// The number of the process that executes the run of an array.
fn process_of(lab: &Lab, name: &str) -> String {
    let folder = run(lab, "array", name).unwrap().folder;
    Environment::read(&folder).unwrap().process.unwrap().to_string()
}

/// Everything that the elements and the job of the table have said.
fn logs(lab: &Lab, results: &str) -> String {
    let script = script(lab, results);
    let files = std::fs::read_dir(script.parent().unwrap()).unwrap().map(|file| file.unwrap().path());
    let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.map(|log| std::fs::read_to_string(log).unwrap()).collect()
}

fn wait_for_end(cluster: &Cluster, [array, table]: &[String; 2]) {
    wait_until("the end of all jobs", || cluster.is_over(&[array, table]));
}

#[test]
fn the_script_needs_no_slurm() {
    let lab = Lab::new();
    succeed(&mut lab.reproduce("plain", &SWEEP));
    let elements = ["--elements", "2", "--time", "1:00:00"];
    let said = succeed(lab.table1("sweep", "array", &SWEEP).args(elements));
    let script = script(&lab, "array");
    assert!(said.contains(&format!("bash {} submit", script.display())), "{said}");
    assert!(succeed(&mut lab.mtcool(&["status", "table1", "--results", "array"])).contains("4 waiting"));
    // A machine without Slurm: the script is written all the same.
    let mut refused = lab.table1("sweep", "array", &SWEEP);
    refused.args(elements).arg("--slurm").env("PATH", lab.path());
    fail(&mut refused, &["`sbatch` was not found", "nothing was submitted", &format!("bash {}", script.display())]);

    for signal in ["-TERM", "-USR1", "-INT"] {
        let child = bash(&script, &[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for_steps(&lab, "array", "joint-s0");
        succeed(Command::new("kill").args([signal, &child.id().to_string()]));
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(75), "{signal}: {}", text(&ended.stderr));
        assert_eq!(run(&lab, "array", "joint-s0").unwrap().status.status, Status::Interrupted, "{signal}");
    }
    // Element 1 has the second and the fourth run.
    succeed(&mut bash(&script, &["1"]));
    let names = |status: Status| -> Vec<String> {
        runs(&lab, "array").iter().filter(|run| run.status.status == status).map(StoredRun::name).collect()
    };
    assert_eq!(names(Status::Finished), ["vanilla-s0", "vanilla-s1"]);
    succeed(bash(&script, &[]).env("SLURM_ARRAY_TASK_ID", "1"));
    assert_eq!(names(Status::Interrupted), ["joint-s0"], "a finished element has nothing to do");
    for wrong in ["2", "-1", "x"] {
        fail(&mut bash(&script, &[wrong]), &["unknown element", "expected 0 to 1"]);
    }
    let table = succeed(&mut bash(&script, &[]));
    assert_eq!(table, std::fs::read_to_string(lab.path().join("array/table1/table.md")).unwrap());
    assert!(outcome(&lab, "array") == outcome(&lab, "plain"), "other bits");
}

#[test]
fn an_array_that_is_interrupted_ends_with_the_bits_of_a_plain_sweep() {
    let Some(cluster) = Cluster::start() else { return };
    let lab = Lab::new();
    succeed(&mut lab.reproduce("plain", &SWEEP));
    let jobs = submit(&cluster, &lab, &SWEEP, &["--time", "10"]);
    // What Slurm sends at the time limit; a person cancels an element; the machine kills the program of another one.
    for name in ["joint-s0", "vanilla-s0", "vanilla-s1"] {
        wait_for_steps(&lab, "array", name);
    }
    succeed(cluster.command("scancel").args(["--batch", "--signal=USR1", &format!("{}_0", jobs[0])]));
    succeed(cluster.command("scancel").arg(format!("{}_1", jobs[0])));
    succeed(Command::new("kill").args(["-KILL", &process_of(&lab, "vanilla-s1")]));
    wait_for_end(&cluster, &jobs);
    let said = logs(&lab, "array");
    assert_eq!(said.matches("element 0 is not over: Slurm will start it again").count(), 1, "{said}");
    assert!(!said.contains("element 1 is not over"), "a cancelled element came back: {said}");
    assert!(said.contains("joint-s0 continues from step"), "{said}");
    for name in ["joint-s0", "joint-s1"] {
        assert_eq!(run(&lab, "array", name).unwrap().status.status, Status::Finished, "{said}");
    }
    let written = std::fs::read_to_string(lab.path().join("array/table1/table.md")).unwrap();
    assert!(written.contains("Interrupted: vanilla-s0") && written.contains("vanilla-s1 (epoch"), "{written}");
    // The same command executes what is left.
    let jobs = submit(&cluster, &lab, &SWEEP, &["--time", "10"]);
    wait_for_end(&cluster, &jobs);
    assert!(outcome(&lab, "array") == outcome(&lab, "plain"), "other bits");
    let written = std::fs::read_to_string(lab.path().join("array/table1/table.md")).unwrap();
    assert!(!written.contains("Interrupted"), "{written}");
}

#[test]
fn two_sweeps_at_once_share_their_runs() {
    let Some(cluster) = Cluster::start() else { return };
    let lab = Lab::new();
    let [first, second] = [(); 2].map(|()| submit(&cluster, &lab, &SWEEP, &["--max-parallel", "2"]));
    wait_for_end(&cluster, &first);
    wait_for_end(&cluster, &second);
    let log = std::fs::read_to_string(lab.path().join("array/table1/log.jsonl")).unwrap();
    for name in ["joint-s0", "vanilla-s0", "joint-s1", "vanilla-s1"] {
        assert_eq!(log.matches(&format!("{name} is finished")).count(), 1, "{name}");
        assert_eq!(log.matches(&format!("{name} continues from")).count(), 0, "{name}");
    }
    succeed(&mut lab.reproduce("plain", &SWEEP));
    assert!(outcome(&lab, "array") == outcome(&lab, "plain"), "other bits");
}

#[test]
#[ignore = "takes a minute: Slurm looks at time limits every 30 seconds"]
fn a_time_limit_that_is_shorter_than_a_run_only_delays_it() {
    let Some(cluster) = Cluster::start() else { return };
    let lab = Lab::new();
    let jobs = submit(&cluster, &lab, &SWEEP, &["--only", "joint:0", "--time", "1"]);
    wait_for_steps(&lab, "array", "joint-s0");
    // The run stands still until Slurm has announced the limit, however fast the machine is.
    let process = process_of(&lab, "joint-s0");
    succeed(Command::new("kill").args(["-STOP", &process]));
    std::thread::sleep(Duration::from_secs(35));
    succeed(Command::new("kill").args(["-CONT", &process]));
    wait_for_end(&cluster, &jobs);
    let said = logs(&lab, "array");
    assert!(said.contains("element 0 is not over: Slurm will start it again"), "{said}");
    succeed(&mut lab.reproduce("plain", &[&SWEEP[..], &["--only", "joint:0"]].concat()));
    assert!(outcome(&lab, "array") == outcome(&lab, "plain"), "other bits");
}
