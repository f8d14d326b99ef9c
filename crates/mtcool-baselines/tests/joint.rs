//! Joint training by one backward pass, compared with its slow twin: one backward pass per task, and the sum of the gradients.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use candle_core::{DType, Device, Tensor};
use mtcool_baselines::Joint;
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{
    Aggregator, Batch, BatchSource, Combination, Combine, GradientMethod, Jacobian, Loss, Method, Parameters, Problem,
    RateSchedule, Result, Sgd, Step, UpdateSettings,
};
use mtcool_models::{Independent, LeNet};

/// `sum_i g_i`, from the whole Jacobian.
struct Sum;

impl Aggregator for Sum {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        Ok(Combination::Weights(vec![1.0; jacobian.rows().len()]))
    }
}

/// Random digits; the n-th batch is always the same.
struct Noise(u32);

impl BatchSource for Noise {
    fn next(&mut self, task: usize) -> Result<Batch> {
        self.0 += 1;
        let mut generator = stream(0, Purpose::Method, [self.0, task as u32, 0, 0], "batch");
        let input = uniform(&mut generator, 1.0, &(6, 1, 28, 28).into(), DType::F64, &Device::Cpu)?;
        Ok(Batch { input, target: Tensor::new(&[0u32, 1, 2, 3, 4, 0], &Device::Cpu)? })
    }
}

fn problem(shared: bool) -> Problem {
    let losses = || -> Vec<Loss> { vec![Box::new(mtcool_ops::cross_entropy), Box::new(mtcool_ops::cross_entropy)] };
    let lenet = |classes: &[usize]| Box::new(LeNet::new(LeNet::mnist(classes)).unwrap());
    if shared {
        Problem::new(lenet(&[5, 5]), losses()).unwrap()
    } else {
        Problem::new(Box::new(Independent::new(vec![lenet(&[5]), lenet(&[5])]).unwrap()), losses()).unwrap()
    }
}

fn train(problem: &Problem, combine: Combine) -> (Parameters, Vec<f64>) {
    let mut parameters = problem.network().initial_parameters(1, DType::F64, &Device::Cpu).unwrap();
    let sgd = Sgd { momentum: 0.9, weight_decay: 1e-3, ..Sgd::default() };
    let updates = UpdateSettings { rate: RateSchedule::Cosine, ..UpdateSettings::new(sgd) };
    let mut method = GradientMethod::new(combine, 0.05, updates).unwrap();
    let mut batches = Noise(0);
    let mut losses = Vec::new();
    for step in 0..4 {
        let progress = step as f64 / 4.0;
        let report =
            method.step(Step { problem, parameters: &mut parameters, batches: &mut batches, progress }).unwrap();
        losses.extend(report.check_finite().unwrap().iter().map(|entry| entry.loss));
    }
    (parameters, losses)
}

#[test]
fn one_backward_pass_of_the_sum_equals_the_sum_of_the_tasks_gradients() {
    for shared in [true, false] {
        let problem = problem(shared);
        let (fast, fast_losses) = train(&problem, Combine::Losses(Box::new(Joint)));
        let (slow, slow_losses) = train(&problem, Combine::Gradients(Box::new(Sum)));
        assert_eq!(fast_losses.len(), 8);
        for (fast, slow) in fast_losses.iter().zip(&slow_losses) {
            assert!((fast - slow).abs() < 1e-12);
        }
        for (name, tensor) in fast.iter() {
            let difference = (tensor - slow.get(name).unwrap()).unwrap().abs().unwrap().flatten_all().unwrap();
            let difference = difference.max(0).unwrap().to_scalar::<f64>().unwrap();
            assert!(difference < 1e-12, "{name}: {difference:e}");
        }
    }
}

#[test]
fn independent_networks_share_nothing() {
    let problem = problem(false);
    let parameters = problem.network().initial_parameters(1, DType::F64, &Device::Cpu).unwrap();
    let leaves = parameters.track(|_| true).unwrap();
    let batch = Noise(0).next(0).unwrap();
    let output = problem.network().forward(&leaves, 0, &batch.input).unwrap();
    let gradients = leaves.backward(&output.sum_all().unwrap()).unwrap();
    assert_eq!(gradients.len(), parameters.len() / 2);
    assert!(gradients.iter().all(|(name, _)| name.task == 0));
}
