//! Training steps: median time, images per second, peak memory. `cargo xtask bench` runs this benchmark.
//!
//! usage: `cargo xtask bench [--json] [--seconds 6] [--threads N] [--recompute N] [--device cuda:0] [--list]
//! [CASE ...]`
//!
//! On an NVIDIA card, the cases with the card's sizes run, unless other cases are named. They multiply in TF32, like PyTorch if
//! it allows TF32.
//!
//! With `--json`, each case runs in its own process, so that its peak memory is measured separately, and prints one line with a
//! JSON object. Without `--json`, criterion measures all cases. An image counts once for each task that trains on it. Plain
//! SGD, rate 0.01, random inputs. The gradient of a classification reaches the segmentation's decoder as well, as in the PyTorch
//! programs that the cases are compared with; `unet_joint_theta_only` has the tables' rule. `unet_hrf_joint_1024` and
//! `unet_hrf_joint_2048`, whose steps take seconds and gigabytes, run only if they are named, and always print a line with a JSON object.
//!
//! `--recompute` is the number of levels whose inside the U-Nets compute again in the backward pass.
//!
//! `--list` prints the names of the device's cases.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot start has nothing to report")]

mod common;

use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use common::{Arguments, Fixed, Training, images, median, peak_rss_mib, use_threads};
use criterion::Criterion;
use mtcool_baselines::Joint;
use mtcool_core::{
    Batch, Combine, GradientMethod, Loss, Method, Mtcool, MtcoolConfig, Problem, UniformNoise, UpdateSettings, Variant,
};
use mtcool_models::{CardKernels, Head, LeNet, LeNetConfig, MapGradient, PlacedNoise, UNet, UNetConfig};
use mtcool_ops::{ClassLoss, Dice, Precision, class_loss, cross_entropy, open_device, peak_device_memory};

const RATE: f64 = 0.01;

/// The levels of U-Nets that are computed again, as `--recompute` says.
static RECOMPUTED: OnceLock<usize> = OnceLock::new();

/// The usual sizes of a U-Net.
fn usual() -> UNetConfig {
    UNetConfig { recomputed_levels: RECOMPUTED.get().copied().unwrap_or(0), ..UNetConfig::default() }
}

/// A case: one model with its batch and its method.
struct Case {
    name: &'static str,
    /// Number of images per step, summed over all tasks.
    images: usize,
    effort: Effort,
    setup: fn(&Device) -> Training,
}

/// How often a case is run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effort {
    /// As often as the time allows.
    Usual,
    /// Only if it is named, and then a few times, since each step takes long.
    Named,
    /// On a card as often as the time allows; on the CPU only if it is named.
    Card,
}

impl Effort {
    /// The number of steps before the measurement, and the smallest number of measured steps.
    fn steps(self) -> (usize, usize) {
        match self {
            Self::Usual => (3, 5),
            Self::Named => (1, 2),
            Self::Card => (10, 20),
        }
    }
}

use Effort::{Card, Named, Usual};

const CASES: [Case; 18] = [
    Case { name: "lenet_joint", images: 256, effort: Usual, setup: |on| lenet(joint(), 128, FULL, on) },
    Case { name: "lenet_mtcool_m1", images: 256, effort: Usual, setup: |on| lenet(mtcool(1), 128, FULL, on) },
    Case { name: "lenet_mtcool_m2", images: 256, effort: Usual, setup: |on| lenet(mtcool(2), 128, FULL, on) },
    Case { name: "unet_joint", images: 4, effort: Usual, setup: |on| unet(joint(), REFUGE, 256, 2, FULL, on) },
    Case { name: "unet_mtcool_m1", images: 4, effort: Usual, setup: |on| unet(mtcool(1), REFUGE, 256, 2, FULL, on) },
    Case { name: "unet_hrf_joint", images: 2, effort: Usual, setup: |on| unet(joint(), HRF, 512, 1, FULL, on) },
    Case {
        name: "unet_joint_dice",
        images: 4,
        effort: Usual,
        setup: |on| with_dice(unet(joint(), REFUGE, 256, 2, FULL, on), on),
    },
    Case {
        name: "unet_joint_theta_only",
        images: 4,
        effort: Usual,
        setup: |on| with_map_gradient(unet(joint(), REFUGE, 256, 2, FULL, on), MapGradient::ThetaOnly, on),
    },
    Case {
        name: "unet_joint_bf16",
        images: 4,
        effort: Usual,
        setup: |on| unet(joint(), REFUGE, 256, 2, Precision::Bf16, on),
    },
    Case { name: "unet_hrf_joint_1024", images: 2, effort: Named, setup: |on| vessels(joint(), 1024, FULL, on) },
    Case { name: "unet_hrf_joint_2048", images: 2, effort: Named, setup: |on| vessels(joint(), 2048, FULL, on) },
    Case { name: "lenet_joint_1024", images: 2048, effort: Card, setup: |on| lenet(joint(), 1024, TF32, on) },
    Case { name: "lenet_mtcool_m1_1024", images: 2048, effort: Card, setup: |on| lenet(mtcool(1), 1024, TF32, on) },
    Case { name: "lenet_mtcool_m2_1024", images: 2048, effort: Card, setup: |on| lenet(mtcool(2), 1024, TF32, on) },
    Case { name: "unet_joint_512", images: 32, effort: Card, setup: |on| unet(joint(), REFUGE, 512, 16, TF32, on) },
    Case {
        name: "unet_mtcool_m1_512",
        images: 32,
        effort: Card,
        setup: |on| unet(mtcool(1), REFUGE, 512, 16, TF32, on),
    },
    Case { name: "unet_hrf_joint_2048_tf32", images: 2, effort: Card, setup: |on| vessels(joint(), 2048, TF32, on) },
    Case {
        name: "unet_hrf_mtcool_m1_2048_tf32",
        images: 2,
        effort: Card,
        setup: |on| vessels(mtcool(1), 2048, TF32, on),
    },
];

const FULL: Precision = Precision::Full;
const TF32: Precision = Precision::Tf32;
const REFUGE: [Head; 2] = [Head::Segmentation { classes: 3 }, Head::Classification { classes: 2 }];
const HRF: [Head; 2] = [Head::Segmentation { classes: 2 }, Head::Segmentation { classes: 3 }];

/// `training` with all tensors on `device`.
fn placed(training: Training, device: &Device) -> Training {
    let moved = |tensor: &Tensor| tensor.to_device(device).unwrap();
    let Training { problem, parameters, method, batches: Fixed(batches) } = training;
    // An input that several tasks share stays a single tensor.
    let mut inputs: Vec<(candle_core::TensorId, Tensor)> = Vec::new();
    let batches = batches.iter().map(|batch| {
        let known = inputs.iter().find(|(id, _)| *id == batch.input.id()).map(|(_, input)| input.clone());
        let input = known.unwrap_or_else(|| moved(&batch.input));
        inputs.push((batch.input.id(), input.clone()));
        Batch { input, target: moved(&batch.target) }
    });
    let batches = Fixed(batches.collect());
    let problem = problem.on(device, CardKernels);
    Training { problem, parameters: parameters.map(|_, tensor| Ok(moved(tensor))).unwrap(), method, batches }
}

fn joint() -> Box<dyn Method> {
    let combine = Combine::Losses(Box::new(Joint));
    Box::new(GradientMethod::new(combine, RATE, UpdateSettings::default()).unwrap())
}

/// MT-COOL with one outer iteration per step: task 1, then task 2, L = 1, b = 0.05, clamp; with M = 2 also the KL term.
fn mtcool(samples: usize) -> Box<dyn Method> {
    let variant = if samples == 1 { Variant::NoRegularizer } else { Variant::Full };
    let config =
        MtcoolConfig { variant, samples, bound: 0.05, beta: RATE, warmup_iterations: 0, ..MtcoolConfig::default() };
    Box::new(Mtcool::new(config, Box::new(PlacedNoise(UniformNoise::new(0, 0.05).unwrap()))).unwrap())
}

/// LeNet 10/20/50 on two batches of `count`.
fn lenet(method: Box<dyn Method>, count: usize, precision: Precision, device: &Device) -> Training {
    let network = LeNet::new(LeNetConfig { precision, ..LeNet::mnist(&[5, 5]) }).unwrap();
    let losses: Vec<Loss> = vec![Box::new(cross_entropy), Box::new(cross_entropy)];
    let problem = Problem::new(Box::new(network), losses).unwrap();
    let batch = |task| {
        let input = images(task, &[count, 1, 28, 28]);
        let target = Tensor::from_vec((0..count as u32).map(|n| n % 5).collect(), count, &Device::Cpu).unwrap();
        Batch { input, target }
    };
    placed(Training::new(problem, method, vec![batch(0), batch(1)]), device)
}

/// U-Net of base 16 on `count` images of side `side` that both tasks share.
fn unet(
    method: Box<dyn Method>,
    heads: [Head; 2],
    side: usize,
    count: usize,
    precision: Precision,
    device: &Device,
) -> Training {
    let map_gradient = MapGradient::Everything;
    let network = UNet::new(UNetConfig { heads: heads.to_vec(), precision, map_gradient, ..usual() }).unwrap();
    let losses: Vec<Loss> = vec![Box::new(cross_entropy), Box::new(cross_entropy)];
    let problem = Problem::new(Box::new(network), losses).unwrap();
    let input = images(0, &[count, 3, side, side]);
    let batch = |head: &Head| {
        let numbers = |classes: usize, len: usize| {
            (0..len as u32).map(|n| n.wrapping_mul(2_654_435_761) / 7 % classes as u32).collect()
        };
        let target = match *head {
            Head::Segmentation { classes } => {
                Tensor::from_vec(numbers(classes, count * side * side), (count, side, side), &Device::Cpu)
            }
            Head::Classification { classes } | Head::LoneClassification { classes, .. } => {
                Tensor::from_vec(numbers(classes, count), count, &Device::Cpu)
            }
            Head::Image { .. } => unreachable!("no case has such a head"),
        };
        Batch { input: input.clone(), target: target.unwrap() }
    };
    placed(Training::new(problem, method, heads.iter().map(batch).collect()), device)
}

/// A training of [`unet`] for REFUGE's heads, with cross-entropy and Dice for the segmentation.
fn with_dice(training: Training, device: &Device) -> Training {
    let map_gradient = MapGradient::Everything;
    let network = UNet::new(UNetConfig { heads: REFUGE.to_vec(), map_gradient, ..usual() }).unwrap();
    let both = ClassLoss { dice: Some(Dice::default()), ..ClassLoss::cross_entropy() };
    let segmentation = move |logits: &Tensor, targets: &Tensor| class_loss(logits, targets, &both);
    let losses: Vec<Loss> = vec![Box::new(segmentation), Box::new(cross_entropy)];
    placed(Training { problem: Problem::new(Box::new(network), losses).unwrap(), ..training }, device)
}

/// A training of [`unet`] for REFUGE's heads, with another rule for the gradient of the classification.
fn with_map_gradient(training: Training, map_gradient: MapGradient, device: &Device) -> Training {
    let network = UNet::new(UNetConfig { heads: REFUGE.to_vec(), map_gradient, ..usual() }).unwrap();
    let losses: Vec<Loss> = vec![Box::new(cross_entropy), Box::new(cross_entropy)];
    placed(Training { problem: Problem::new(Box::new(network), losses).unwrap(), ..training }, device)
}

/// A training of [`unet`] with HRF-AV's heads and losses on one patch of side `side`. The loss of arteries and veins ignores
/// crossings, class 3.
fn vessels(method: Box<dyn Method>, side: usize, precision: Precision, device: &Device) -> Training {
    let mut training = unet(method, HRF, side, 1, precision, &Device::Cpu);
    let network = UNet::new(UNetConfig { heads: HRF.to_vec(), precision, ..usual() }).unwrap();
    let green = ClassLoss { ignored: Some(3), ..ClassLoss::cross_entropy() };
    let av = move |logits: &Tensor, targets: &Tensor| class_loss(logits, targets, &green);
    training.problem = Problem::new(Box::new(network), vec![Box::new(cross_entropy), Box::new(av)]).unwrap();
    // One byte per pixel, as in patches; a tenth of the pixels are vessels of all kinds.
    for (batch, kinds) in training.batches.0.iter_mut().zip([1, 3]) {
        let mark = |at: u32| {
            let drawn = at.wrapping_mul(2_654_435_761) >> 16;
            if drawn.is_multiple_of(10) { (1 + drawn / 10 % kinds) as u8 } else { 0 }
        };
        let marks: Vec<u8> = (0..(side * side) as u32).map(mark).collect();
        batch.target = Tensor::from_vec(marks, (1, side, side), &Device::Cpu).unwrap();
    }
    placed(training, device)
}

/// The median time of a step in seconds, after some steps that are not measured.
fn median_step(training: &mut Training, effort: Effort, seconds: f64) -> f64 {
    let (before, least) = effort.steps();
    for _ in 0..before {
        training.step();
    }
    let (started, mut times) = (Instant::now(), Vec::new());
    while started.elapsed().as_secs_f64() < seconds || times.len() < least {
        let step = Instant::now();
        training.step();
        times.push(step.elapsed().as_secs_f64());
    }
    median(times)
}

/// Runs one case in this process for `seconds` and prints its line.
fn measure(case: &Case, seconds: f64, threads: usize, device: &str) {
    let on = open_device(device).unwrap_or_else(|error| panic!("{error}"));
    let mut training = (case.setup)(&on);
    let time = median_step(&mut training, case.effort, seconds);
    println!(
        "{}",
        serde_json::json!({
            "case": case.name,
            "ms_per_step": (time * 1e6).round() / 1e3,
            "images_per_s": (case.images as f64 / time * 10.0).round() / 10.0,
            "peak_rss_mib": peak_rss_mib(),
            "peak_device_mib": peak_device_memory(&on).unwrap().map(|bytes| bytes >> 20),
            "recomputed_levels": usual().recomputed_levels,
            "threads": threads,
            "device": device,
        })
    );
}

/// Measures a case in its own process.
fn run_alone(case: &Case, seconds: f64, threads: usize, device: &str) {
    let (seconds, threads, levels) = (seconds.to_string(), threads.to_string(), usual().recomputed_levels.to_string());
    let own = ["--alone", case.name, "--seconds", &seconds, "--threads", &threads, "--device", device];
    let own = own.into_iter().chain(["--recompute", &levels]);
    assert!(Command::new(std::env::current_exe().unwrap()).args(own).status().unwrap().success());
}

fn main() {
    mtcool_ops::keep_freed_memory();
    let arguments = Arguments::of_process();
    let (seconds, threads) = (arguments.number("--seconds").unwrap_or(6.0), arguments.threads());
    RECOMPUTED.set(arguments.number("--recompute").unwrap_or(0)).unwrap();
    let device = arguments.value("--device").unwrap_or_else(|| "cpu".into());
    if let Err(error) = open_device(&device) {
        eprintln!("error: {error}");
        std::process::exit(2);
    }
    use_threads(threads);
    let named = |case: &&Case| arguments.has(case.name);
    let wanted: Vec<&Case> = if CASES.iter().any(|case| named(&case)) {
        CASES.iter().filter(named).collect()
    } else {
        CASES.iter().filter(|case| case.effort == if device == "cpu" { Usual } else { Card }).collect()
    };
    if arguments.has("operations") && !CASES.iter().any(|case| named(&case)) {
        return;
    }
    let case_named = |name: &str| CASES.iter().find(|case| case.name == name);
    if arguments.has("--list") {
        wanted.iter().for_each(|case| println!("{}", case.name));
    } else if let Some(case) = arguments.value("--alone") {
        // The case runs inside the thread pool, like the training of the program: the parallel parts of a step do not change
        // the thread.
        rayon::scope(|_| measure(case_named(&case).unwrap(), seconds, threads, &device));
    } else if arguments.has("--json") || device != "cpu" {
        wanted.into_iter().for_each(|case| run_alone(case, seconds, threads, &device));
    } else {
        let mut criterion = Criterion::default()
            .warm_up_time(Duration::from_secs(1))
            .measurement_time(Duration::from_secs_f64(seconds));
        let (named, usual): (Vec<&Case>, Vec<&Case>) = wanted.into_iter().partition(|case| case.effort != Usual);
        named.into_iter().for_each(|case| run_alone(case, seconds, threads, &device));
        for case in usual {
            let mut training = (case.setup)(&Device::Cpu);
            let mut group = criterion.benchmark_group("training");
            group.throughput(criterion::Throughput::Elements(case.images as u64)).sample_size(20);
            group.bench_function(case.name, |bencher| bencher.iter(|| training.step()));
            group.finish();
        }
        criterion.final_summary();
    }
}
