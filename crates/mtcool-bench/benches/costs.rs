//! Memory and time of a training step for 2, 3, 5 and 10 tasks: Joint, a method that works from the Gramian with stored gradients of all
//! tasks, and the same with gradients that are computed layer by layer (`training.gramian`).
//!
//! usage: `cargo xtask bench costs [--json] [--seconds 2] [--threads N] [CASE ...]`
//!
//! Each line is measured in a process of its own. PEAK is what the process has allocated at most at one time during a step; the peak of
//! its resident memory, which includes the program, is in the JSON lines (`peak_rss_mib`). SHARED is the size of the parameters that all
//! tasks share, hence of one gradient, and FORWARD is what the forward passes keep for the backward passes. The method is UPGrad, with
//! plain SGD and random inputs. Cases: LeNet with the paper's widths and with 32, 64 and 512, whose tasks have images of their own; a
//! U-Net's encoder alone with an answer per image and task, and whole U-Nets, whose tasks share their images. Memory does not depend on
//! what else the machine does; times do.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot start has nothing to report")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use candle_core::{Device, Tensor};
use common::{Arguments, Training, images, median, peak_rss_mib, use_threads};
use mtcool_baselines::{Joint, UpGrad};
use mtcool_core::{
    Batch, Combine, GradientMethod, GradientStorage, Loss, Method, Network, ParameterName, Problem, UpdateSettings,
};
use mtcool_models::{Head, LeNet, LeNetConfig, MapOf, UNet, UNetConfig};
use mtcool_ops::{Statistics, cross_entropy};

const TASKS: [usize; 4] = [2, 3, 5, 10];
const WAYS: [&str; 3] = ["joint", "stored", "layerwise"];

/// Counts the bytes that are allocated.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn count(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

// SAFETY: every call is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A network with its batches.
struct Case {
    name: &'static str,
    /// The network of this number of tasks.
    network: fn(usize) -> Box<dyn Network>,
    /// `[B, C, H, W]` of a task's batch.
    input: [usize; 4],
    images: Images,
}

/// Which images the tasks have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Images {
    /// Each task its own.
    Own,
    /// All tasks the same.
    Shared,
    /// All tasks the same, with a class for each pixel.
    SharedWithMaps,
}

use Images::{Own, Shared, SharedWithMaps};

const CASES: [Case; 5] = [
    Case { name: "costs_lenet", network: |tasks| lenet(tasks, [10, 20, 50]), input: [128, 1, 28, 28], images: Own },
    Case {
        name: "costs_lenet_wide",
        network: |tasks| lenet(tasks, [32, 64, 512]),
        input: [16, 1, 28, 28],
        images: Own,
    },
    Case {
        name: "costs_encoder",
        network: |tasks| unet(tasks, Head::Image { outputs: CLASSES, map: MapOf::Nothing }),
        input: [8, 3, 64, 64],
        images: Shared,
    },
    Case { name: "costs_unet_64", network: segmentations, input: [8, 3, 64, 64], images: SharedWithMaps },
    Case { name: "costs_unet_256", network: segmentations, input: [2, 3, 256, 256], images: SharedWithMaps },
];

/// One class against the others, for each task.
const CLASSES: usize = 2;

fn lenet(tasks: usize, [conv1, conv2, hidden]: [usize; 3]) -> Box<dyn Network> {
    Box::new(LeNet::new(LeNetConfig { conv1, conv2, hidden, ..LeNet::mnist(&vec![CLASSES; tasks]) }).unwrap())
}

fn segmentations(tasks: usize) -> Box<dyn Network> {
    unet(tasks, Head::Segmentation { classes: CLASSES })
}

/// The paper's widths. Batch statistics, since ten tasks cannot share the groups of sixteen channels.
fn unet(tasks: usize, head: Head) -> Box<dyn Network> {
    let heads = vec![head; tasks];
    Box::new(UNet::new(UNetConfig { heads, statistics: Statistics::Batch, ..UNetConfig::default() }).unwrap())
}

/// The training of a case by a method.
fn training(case: &Case, tasks: usize, method: Box<dyn Method>) -> Training {
    let losses = (0..tasks).map(|_| -> Loss { Box::new(cross_entropy) });
    let problem = Problem::new((case.network)(tasks), losses.collect()).unwrap();
    let [count, _, height, width] = case.input;
    let shared = (case.images != Own).then(|| images(0, &case.input));
    let shape = if case.images == SharedWithMaps { vec![count, height, width] } else { vec![count] };
    let batch = |task: usize| {
        let numbers = 0..shape.iter().product::<usize>() as u32;
        let labels = numbers.map(|n| u32::from(n.wrapping_mul(2_654_435_761) / 7 % 10 == task as u32)).collect();
        let target = Tensor::from_vec::<_, u32>(labels, shape.clone(), &Device::Cpu).unwrap();
        Batch { input: shared.clone().unwrap_or_else(|| images(task, &case.input)), target }
    };
    Training::new(problem, method, (0..tasks).map(batch).collect())
}

/// The bytes that the forward passes of all tasks keep for the backward passes.
fn bytes_of_forward(training: &Training) -> usize {
    let Training { problem, parameters, batches, .. } = training;
    let leaves = parameters.track(|_| true).unwrap();
    let before = LIVE.load(Ordering::Relaxed);
    let inputs: Vec<&Tensor> = batches.0.iter().map(|batch| &batch.input).collect();
    let outputs = problem.network().forward_all(&leaves, &inputs).unwrap();
    let with_target = outputs.iter().zip(&batches.0).enumerate();
    let losses: Vec<Tensor> =
        with_target.map(|(task, (output, batch))| problem.loss(task, output, &batch.target).unwrap()).collect();
    let bytes = LIVE.load(Ordering::Relaxed) - before;
    drop(losses);
    bytes
}

fn method(way: &str) -> Box<dyn Method> {
    let combine = match way {
        "joint" => Combine::Losses(Box::new(Joint)),
        _ => Combine::Gradients(Box::new(UpGrad::new(1e-4, 1e-4).unwrap())),
    };
    let storage = if way == "layerwise" { GradientStorage::Layerwise } else { GradientStorage::Stored };
    Box::new(GradientMethod::new(combine, 0.01, UpdateSettings::default()).unwrap().storing(storage))
}

fn mib(bytes: usize) -> f64 {
    (bytes as f64 / f64::from(1 << 20) * 100.0).round() / 100.0
}

/// Measures one way in this process and prints its line.
fn measure(case: &Case, tasks: usize, way: &str, seconds: f64, threads: usize) {
    let mut training = training(case, tasks, method(way));
    for _ in 0..2 {
        training.step();
    }
    PEAK.store(LIVE.load(Ordering::Relaxed), Ordering::Relaxed);
    let (started, mut times) = (Instant::now(), Vec::new());
    while started.elapsed().as_secs_f64() < seconds || times.len() < 3 {
        let step = Instant::now();
        training.step();
        times.push(step.elapsed().as_secs_f64() * 1e3);
    }
    let (peak, rss) = (PEAK.load(Ordering::Relaxed), peak_rss_mib());
    let shared = training.parameters.filter(ParameterName::is_shared).element_count() * size_of::<f32>();
    let line = serde_json::json!({
        "case": case.name,
        "tasks": tasks,
        "way": way,
        "peak_mib": mib(peak),
        "peak_rss_mib": rss,
        "shared_mib": mib(shared),
        "forward_mib": mib(bytes_of_forward(&training)),
        "ms_per_step": (median(times) * 1e3).round() / 1e3,
        "threads": threads,
        "device": "cpu",
    });
    println!("{line}");
}

/// Measures one way in a process of its own.
fn measured(case: &Case, tasks: usize, way: &str, arguments: &[String]) -> serde_json::Value {
    let own = ["--alone", case.name, "--tasks", &tasks.to_string(), "--way", way].map(str::to_owned);
    let output = Command::new(std::env::current_exe().unwrap()).args(own.iter().chain(arguments)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn main() {
    mtcool_ops::keep_freed_memory();
    let arguments = Arguments::of_process();
    let (seconds, threads) = (arguments.number("--seconds").unwrap_or(2.0), arguments.threads());
    if let Some(name) = arguments.value("--alone") {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        let (tasks, way) = (arguments.number("--tasks").unwrap(), arguments.value("--way").unwrap());
        use_threads(threads);
        // Inside the thread pool, like the training of the program.
        rayon::scope(|_| measure(case, tasks, &way, seconds, threads));
        return;
    }
    let named = |case: &&Case| arguments.has(case.name);
    let any_named = CASES.iter().any(|case| named(&case));
    let is_json = arguments.has("--json");
    let passed_on = ["--seconds".to_owned(), seconds.to_string(), "--threads".to_owned(), threads.to_string()];
    if !is_json {
        println!(
            "{:<17} {:>5} {:<10} {:>8} {:>6} {:>8} {:>8} {:>9} {:>6}",
            "CASE", "TASKS", "GRADIENTS", "PEAK MiB", "RATIO", "SHARED", "FORWARD", "MS", "RATIO"
        );
    }
    for case in CASES.iter().filter(|case| !any_named || named(case)) {
        for tasks in TASKS {
            let mut joint: Option<serde_json::Value> = None;
            for way in WAYS {
                let line = measured(case, tasks, way, &passed_on);
                let of_joint = joint.get_or_insert_with(|| line.clone());
                if is_json {
                    println!("{line}");
                    continue;
                }
                let number = |line: &serde_json::Value, key: &str| line[key].as_f64().unwrap();
                let [peak, shared, forward, ms] =
                    ["peak_mib", "shared_mib", "forward_mib", "ms_per_step"].map(|key| number(&line, key));
                let (memory, time) = (peak / number(of_joint, "peak_mib"), ms / number(of_joint, "ms_per_step"));
                println!(
                    "{:<17} {tasks:>5} {way:<10} {peak:>8.2} {memory:>6.2} {shared:>8.2} {forward:>8.2} {ms:>9.2} {time:>6.2}",
                    case.name
                );
            }
        }
    }
}
