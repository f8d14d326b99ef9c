//! A sweep gives the same bits if it is interrupted at any moment, shared by several processes, or run with any number of
//! threads.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::process::Stdio;
use std::time::{Instant, SystemTime};

use common::{Lab, succeed};

const RUNS: [&str; 10] = [
    "independent-s0",
    "vanilla-s0",
    "no_regularizer-s0",
    "mtcool-s0",
    "joint-s0",
    "independent-s1",
    "vanilla-s1",
    "no_regularizer-s1",
    "mtcool-s1",
    "joint-s1",
];

/// A sweep with two seeds; with L = 2, an outer iteration has more than one inner iteration; checkpoints hold the best epoch, too.
const SWEEP: [&str; 10] = [
    "--seeds",
    "2",
    "--set",
    "method.mtcool.inner_iterations=2",
    "--set",
    "training.epochs=4",
    "--set",
    "log_every=7",
    "--set",
    "training.select=best",
];

/// A run's name, its metrics (place, bits) and the bytes of its model.
type Outcome = (&'static str, Vec<(String, u64)>, Vec<u8>);

/// The bits of every number and every parameter of every run.
fn outcome(lab: &Lab, results: &str) -> Vec<Outcome> {
    let of_run = |run: &'static str| {
        let rows = lab.rows(results, run).into_iter().map(|row| {
            let place = format!("{} {} {} {} {}", row.step, row.epoch, row.split, row.task, row.metric);
            (place, row.value.to_bits())
        });
        let model = std::fs::read(lab.run_folder(results, run).join("model.safetensors")).unwrap();
        (run, rows.collect(), model)
    };
    RUNS.into_iter().map(of_run).collect()
}

#[test]
fn a_sweep_killed_at_ten_random_moments_ends_with_the_same_bits() {
    let lab = Lab::new();
    let started = Instant::now();
    succeed(lab.reproduce("whole", &SWEEP).args(["--threads", "2"]));
    let length = started.elapsed();
    let whole = outcome(&lab, "whole");
    succeed(lab.reproduce("single", &SWEEP).args(["--threads", "1"]));
    assert!(whole == outcome(&lab, "single"), "one thread and two differ");

    let mut random = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 | 1;
    let mut killed = 0;
    let mut moments = Vec::new();
    for attempt in 0..10 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // On average ten such times add up to half of the sweep, so the sweep is running each time unless the machine gets much
        // faster.
        let moment = length.mul_f64((random % 1000) as f64 / 10_000.0);
        moments.push(moment);
        let threads = if attempt % 2 == 0 { "2" } else { "1" };
        let mut command = lab.reproduce("killed", &SWEEP);
        command
            .args(["--threads", threads, "--checkpoint-seconds", "0.01"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(moment);
        // On Unix this is SIGKILL: the program cannot run anything after it.
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
    }
    succeed(lab.reproduce("killed", &SWEEP).args(["--threads", "2", "--checkpoint-seconds", "0.01"]));
    assert!(whole == outcome(&lab, "killed"), "killed after {moments:?}: other numbers");
    println!("{killed} of 10 kills, after {moments:?}, met a running sweep of {length:?}");
    assert!(killed >= 5, "only {killed} of 10 kills met a running sweep");
}

#[test]
fn two_processes_share_a_sweep_and_run_nothing_twice() {
    let lab = Lab::new();
    let start = || {
        let mut command = lab.reproduce("shared", &SWEEP);
        command.args(["--threads", "1", "--wait"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let (mut first, mut second) = (start(), start());
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    let log = std::fs::read_to_string(lab.path().join("shared/table1/log.jsonl")).unwrap();
    for run in RUNS {
        assert_eq!(log.matches(&format!("{run} is finished")).count(), 1, "{run}");
        assert_eq!(log.matches(&format!("{run} continues from")).count(), 0, "{run}");
    }
    succeed(lab.reproduce("whole", &SWEEP).args(["--threads", "2"]));
    assert!(outcome(&lab, "shared") == outcome(&lab, "whole"));
}
