//! The time of a training step of each method, relative to Joint: LeNet 10/20/50 with 2, 3 and 5 tasks, batches of 128.
//!
//! usage: `cargo bench --profile dev --workspace --bench methods -- [--json] [--seconds 4] [--threads N] [METHOD ...]`
//!
//! Steps of the method and of Joint alternate, so that a slower machine slows both. `passes` is the time of the forward and
//! backward passes that every aggregator needs (one backward pass per task), and `combine` is the time to compute the direction
//! from the tasks' gradients. Both have their own medians. Plain SGD, random inputs.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot start has nothing to report")]

mod common;

use std::time::Instant;

use candle_core::{Device, Tensor};
use common::{Arguments, Training, images, median, use_threads};
use mtcool_bench::Registry;
use mtcool_bench::suite::{MethodEntry, MethodKind, MethodSettings, Settings, Sharing, TrainingConfig};
use mtcool_core::{Batch, Combine, Loss, Method, Point, Problem};
use mtcool_models::LeNet;
use mtcool_ops::cross_entropy;

const TASKS: [usize; 3] = [2, 3, 5];
const BATCH: usize = 128;

/// The training of LeNet for `tasks` tasks of five digits each.
fn training(method: Box<dyn Method>, tasks: usize) -> Training {
    let network = LeNet::new(LeNet::mnist(&vec![5; tasks])).unwrap();
    let losses = (0..tasks).map(|_| -> Loss { Box::new(cross_entropy) });
    let problem = Problem::new(Box::new(network), losses.collect()).unwrap();
    let batch = |task: usize| {
        let target = (0..BATCH as u32).map(|n| n % 5).collect();
        let target = Tensor::from_vec(target, BATCH, &Device::Cpu).unwrap();
        Batch { input: images(task, &[BATCH, 1, 28, 28]), target }
    };
    Training::new(problem, method, (0..tasks).map(batch).collect())
}

/// The method's default settings with a learning rate.
fn settings(entry: &MethodEntry) -> Box<dyn MethodSettings> {
    (entry.settings)(&Settings::default().or("learning_rate", 0.01), Registry::builtin().methods()).unwrap()
}

fn build(entry: &MethodEntry) -> Box<dyn Method> {
    settings(entry).build(&TrainingConfig::plain(1, BATCH), 0).unwrap()
}

fn milliseconds(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64() * 1e3
}

/// The times in milliseconds of one line of the output.
struct Measured {
    step: f64,
    joint: f64,
    passes: Option<f64>,
    combine: Option<f64>,
}

fn measure(entry: &MethodEntry, tasks: usize, seconds: f64) -> Measured {
    let mut method = training(build(entry), tasks);
    let mut joint = training(build(Registry::builtin().method("joint").unwrap()), tasks);
    let mut aggregator = match settings(entry).combine(0) {
        Some(Ok(Combine::Gradients(aggregator))) => Some(aggregator),
        _ => None,
    };
    let (mut step, mut of_joint, mut passes, mut combine) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let started = Instant::now();
    for round in 0.. {
        let times = (milliseconds(|| method.step()), milliseconds(|| joint.step()));
        let is_warm = round >= 3;
        if is_warm {
            step.push(times.0);
            of_joint.push(times.1);
        }
        if let Some(aggregator) = &mut aggregator {
            let mut found = None;
            let point = Point::new(&joint.problem, &joint.parameters, &joint.batches.0);
            let of_passes = milliseconds(|| found = Some(point.gradients().unwrap()));
            let found = found.unwrap();
            let of_combine = milliseconds(|| {
                aggregator.combine_all(&found.rows, &found.values, round).unwrap();
            });
            if is_warm {
                passes.push(of_passes);
                combine.push(of_combine);
            }
        }
        if started.elapsed().as_secs_f64() >= seconds && step.len() >= 5 {
            break;
        }
    }
    let known = |times: Vec<f64>| (!times.is_empty()).then(|| median(times));
    Measured { step: median(step), joint: median(of_joint), passes: known(passes), combine: known(combine) }
}

fn report(entry: &MethodEntry, tasks: usize, threads: usize, measured: &Measured, json: bool) {
    let Measured { step, joint, passes, combine } = *measured;
    let relative = step / joint;
    if json {
        let round = |ms: f64| (ms * 1e3).round() / 1e3;
        let line = serde_json::json!({
            "case": format!("lenet_t{tasks}_{}", entry.name),
            "method": entry.name,
            "tasks": tasks,
            "ms_per_step": round(step),
            "joint_ms_per_step": round(joint),
            "relative": round(relative),
            "passes_ms": passes.map(round),
            "combine_ms": combine.map(round),
            "threads": threads,
            "device": "cpu",
        });
        println!("{line}");
    } else {
        let part = |time: Option<f64>| time.map_or_else(|| "-".into(), |time| format!("{time:.2}"));
        let (passes, combine) = (part(passes), part(combine));
        println!("{:<14} {tasks:>5} {step:>8.2} {joint:>8.2} {relative:>8.2} {passes:>8} {combine:>8}", entry.label);
    }
}

fn main() {
    mtcool_ops::keep_freed_memory();
    let arguments = Arguments::of_process();
    let seconds = arguments.number("--seconds").unwrap_or(4.0);
    let (threads, json) = (arguments.threads(), arguments.has("--json"));
    use_threads(threads);
    let registry = Registry::builtin();
    let is_shared = |entry: &&MethodEntry| entry.sharing == Sharing::Shared && entry.kind != MethodKind::Alternating;
    let shared = registry.methods().iter().filter(is_shared);
    let named = |entry: &&MethodEntry| arguments.has(&entry.name);
    let any_named = shared.clone().any(|entry| named(&entry));
    if !json {
        println!(
            "{:<14} {:>5} {:>8} {:>8} {:>8} {:>8} {:>8}",
            "METHOD", "TASKS", "MS", "JOINT", "RATIO", "PASSES", "COMBINE"
        );
    }
    // The measurement runs inside the thread pool, like the training of the program.
    rayon::scope(|_| {
        for entry in shared.filter(|entry| !any_named || named(entry)) {
            for tasks in TASKS.into_iter().filter(|&tasks| tasks >= entry.least_tasks) {
                report(entry, tasks, threads, &measure(entry, tasks, seconds), json);
            }
        }
    });
}
