//! Single operations, compared with the limit of the machine. `cargo xtask bench` runs this benchmark after the training steps.
//!
//! usage: `cargo xtask bench [--json] [--seconds 6] [--threads N] operations`
//!
//! The limit is a large matrix product of candle with the same threads. Each line has an operation's median time and its useful
//! floating-point operations per second (the multiplications and additions of the definition, without padding and repetition).

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot start has nothing to report")]

mod common;

use std::time::Instant;

use candle_core::{DType, Device, Tensor, Var};
use common::{Arguments, use_threads};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_ops::{
    Activation, ClassLoss, Conv2d, CrossEntropy, Dice, Focal, MaxPool2d, Norm, Precision, Rows, Statistics, class_loss,
    conv_transpose2d, conv2d, norm,
};

fn tensor(name: &str, shape: &[usize]) -> Tensor {
    let mut generator = stream(0, Purpose::Method, [0; 4], name);
    uniform(&mut generator, 1.0, &shape.to_vec().into(), DType::F32, &Device::Cpu).unwrap()
}

/// The median time of `work` in seconds, measured for at least `seconds` and at least five times.
fn median(seconds: f64, mut work: impl FnMut()) -> f64 {
    work();
    let (started, mut times) = (Instant::now(), Vec::new());
    while started.elapsed().as_secs_f64() < seconds || times.len() < 5 {
        let turn = Instant::now();
        work();
        times.push(turn.elapsed().as_secs_f64());
    }
    common::median(times)
}

fn report(name: &str, seconds: f64, operations: f64, ceiling: Option<f64>) -> f64 {
    let gflops = operations / seconds / 1e9;
    let of_ceiling = ceiling.map(|ceiling| (gflops / ceiling * 1e3).round() / 1e3);
    let line = serde_json::json!({
        "operation": name,
        "ms": (seconds * 1e6).round() / 1e3,
        "gflop_per_s": (gflops * 10.0).round() / 10.0,
        "of_ceiling": of_ceiling,
    });
    println!("{line}");
    gflops
}

/// Forward pass, input gradient and kernel gradient of one convolution: x `[B, C, H, W]`, kernel `[O, C, k, k]`.
fn convolution(
    name: &str,
    [batch, channels, side, outputs, k, padding]: [usize; 6],
    pool: Option<MaxPool2d>,
    seconds: f64,
    ceiling: f64,
) {
    let x = tensor("x", &[batch, channels, side, side]);
    let kernel = tensor("kernel", &[outputs, channels, k, k]);
    let settings = || Conv2d { padding, pool, activation: Activation::Relu, ..Conv2d::default() };
    let out = side + 2 * padding + 1 - k;
    let operations = 2.0 * (batch * outputs * out * out * channels * k * k) as f64;
    let forward = median(seconds, || drop(conv2d(&x, &kernel, None, settings()).unwrap()));
    report(&format!("{name} forward"), forward, operations, Some(ceiling));
    // A backward pass with one tracked operand computes, apart from the gradient of the sum, only this operand's gradient.
    let backward = |x: &Tensor, kernel: &Tensor, rows: Rows| {
        let y = conv2d(x, kernel, None, Conv2d { rows, ..settings() }).unwrap().sum_all().unwrap();
        median(seconds, || drop(y.backward().unwrap()))
    };
    let tracked = |tensor: &Tensor| Var::from_tensor(tensor).unwrap().into_inner();
    report(&format!("{name} input gradient"), backward(&tracked(&x), &kernel, Rows::All), operations, Some(ceiling));
    report(&format!("{name} kernel gradient"), backward(&x, &tracked(&kernel), Rows::All), operations, Some(ceiling));
    let half = backward(&x, &tracked(&kernel), Rows::Only(0..outputs / 2));
    report(&format!("{name} kernel gradient, half the rows"), half, operations / 2.0, Some(ceiling));
}

fn main() {
    mtcool_ops::keep_freed_memory();
    let arguments = Arguments::of_process();
    let of_trainings = |name: &str| name.starts_with("lenet") || name.starts_with("unet");
    if !arguments.has("operations") && arguments.words().any(of_trainings) {
        return;
    }
    let seconds = arguments.number("--seconds").unwrap_or(6.0) / 10.0;
    use_threads(arguments.threads());
    rayon::scope(|_| measure(seconds));
}

fn measure(seconds: f64) {
    let (a, b) = (tensor("a", &[2048, 2048]), tensor("b", &[2048, 2048]));
    let product = median(seconds, || drop(a.matmul(&b).unwrap()));
    let ceiling = report("ceiling: matrix product 2048", product, 2.0 * 2048f64.powi(3), None);
    let pool = Some(MaxPool2d::tiling(2));
    convolution("lenet conv1 5x5 1>10 28, pooled, batch 128", [128, 1, 28, 10, 5, 0], pool, seconds, ceiling);
    convolution("lenet conv2 5x5 10>20 12, pooled, batch 128", [128, 10, 12, 20, 5, 0], pool, seconds, ceiling);
    convolution("unet 3x3 3>16 256, batch 2", [2, 3, 256, 16, 3, 1], None, seconds, ceiling);
    convolution("unet 3x3 16>16 256, batch 2", [2, 16, 256, 16, 3, 1], None, seconds, ceiling);
    convolution("unet 3x3 64>64 64, batch 2", [2, 64, 64, 64, 3, 1], None, seconds, ceiling);
    convolution("unet 3x3 256>256 16, batch 2", [2, 256, 16, 256, 3, 1], None, seconds, ceiling);

    let (x, kernel, bias) = (tensor("x", &[2, 32, 128, 128]), tensor("k", &[32, 16, 2, 2]), tensor("b", &[16]));
    let time = median(seconds, || drop(conv_transpose2d(&x, &kernel, &bias, Precision::Full).unwrap()));
    report("unet transposed 2x2 32>16 128 forward", time, 2.0 * (2 * 32 * 128 * 128 * 16 * 4) as f64, Some(ceiling));

    let x = Var::from_tensor(&tensor("x", &[2, 16, 256, 256])).unwrap();
    let (weight, bias) = (tensor("w", &[16]), tensor("b", &[16]));
    let settings = Norm { statistics: Statistics::Group { groups: 8 }, eps: 1e-5, activation: Activation::Relu };
    let elements = x.elem_count() as f64;
    let time = median(seconds, || drop(norm(&x, &weight, &bias, settings).unwrap()));
    report("unet group norm and ReLU 16 256 forward", time, 6.0 * elements, None);
    let y = norm(&x, &weight, &bias, settings).unwrap().sum_all().unwrap();
    report(
        "unet group norm and ReLU 16 256 backward",
        median(seconds, || drop(y.backward().unwrap())),
        10.0 * elements,
        None,
    );
    losses(seconds);
}

/// Measures the losses of a U-Net's batch, forward and backward pass together. The losses alternate, so that other work on the
/// machine affects all of them. The output has the minimum and the median time, and the additional time compared with
/// cross-entropy.
fn losses(seconds: f64) {
    let cross_entropy = || Some(CrossEntropy::default());
    let both = ClassLoss { dice: Some(Dice::default()), ..ClassLoss::cross_entropy() };
    let cases = [
        ("cross-entropy", ClassLoss::cross_entropy()),
        (
            "cross-entropy, smoothed",
            ClassLoss {
                cross_entropy: cross_entropy().map(|loss| CrossEntropy { label_smoothing: 0.1, ..loss }),
                ..ClassLoss::default()
            },
        ),
        ("Dice", ClassLoss { cross_entropy: None, ..both.clone() }),
        ("focal", ClassLoss { focal: Some(Focal::default()), ..ClassLoss::default() }),
        ("cross-entropy and Dice", both),
    ];
    let logits = Var::from_tensor(&tensor("logits", &[2, 3, 256, 256])).unwrap();
    let targets: Vec<u8> = (0..2 * 256 * 256u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 16) as u8 % 3).collect();
    let targets = Tensor::from_vec(targets, (2, 256, 256), &Device::Cpu).unwrap();
    let (started, mut times) = (Instant::now(), cases.each_ref().map(|_| Vec::new()));
    while started.elapsed().as_secs_f64() < seconds * cases.len() as f64 || times[0].len() < 5 {
        for (times, (_, loss)) in times.iter_mut().zip(&cases) {
            let turn = Instant::now();
            drop(class_loss(&logits, &targets, loss).unwrap().backward().unwrap());
            times.push(turn.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    let rounded = |ms: f64| (ms * 1e3).round() / 1e3;
    for (times_of, (name, _)) in times.iter().zip(&cases) {
        let (least, median) = (times_of[0], times_of[times_of.len() / 2]);
        println!(
            "{}",
            serde_json::json!({
                "operation": format!("loss 3 256, batch 2: {name}"),
                "ms": rounded(median),
                "least_ms": rounded(least),
                "least_ms_beyond_cross_entropy": rounded(least - times[0][0]),
            })
        );
    }
}
