//! Gradient accumulation and clipping: accumulated batches give what one large batch gives, and no update follows a direction
//! that is longer than allowed.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod tiny;

use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Tensor};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{
    AdamW, Aggregator, Batch, BatchSource, Combination, Combine, Diagnostics, Direction, DirectionSource, Error,
    GradientMethod, Gradients, Jacobian, LossWeighting, Method, Mtcool, MtcoolConfig, Optimizer, OptimizerInputs,
    Parameters, Point, Result, Sgd, StateTensors, Step, TaskGradients, UniformNoise, UpdateSettings, Variant, batches,
};
use proptest::prelude::*;
use tiny::{INPUTS, distance, initial, problem};

/// Samples `first..first + count` of an endless set per task.
fn samples(task: usize, first: usize, count: usize) -> candle_core::Result<Batch> {
    let sample = |number: usize| {
        let mut generator = stream(3, Purpose::Method, [task as u32, number as u32, 0, 0], "sample");
        uniform(&mut generator, 2.0, &(1, INPUTS).into(), DType::F64, &Device::Cpu)
    };
    let inputs = (first..first + count).map(sample).collect::<candle_core::Result<Vec<_>>>()?;
    let targets: Vec<u32> = (first..first + count).map(|number| (number * 7 % 3) as u32).collect();
    Ok(Batch { input: Tensor::cat(&inputs, 0)?, target: Tensor::new(targets, &Device::Cpu)? })
}

/// Batches of `size` samples, one after the other; counts what it hands out.
fn source(size: usize, drawn: Arc<Mutex<Vec<usize>>>) -> impl BatchSource {
    batches::from_fn(move |task| {
        let mut drawn = drawn.lock().unwrap();
        drawn[task] += 1;
        samples(task, (drawn[task] - 1) * size, size)
    })
}

const TASKS: usize = 3;
const STEPS: usize = 4;

/// The parameters after a few steps with batches of `size`, the losses reported, and the batches drawn per task.
fn train(method: &mut dyn Method, size: usize) -> (Parameters, Vec<(usize, f64, f64)>, usize) {
    let problem = problem(TASKS);
    let mut parameters = initial(&problem, 7);
    let drawn = Arc::new(Mutex::new(vec![0; TASKS]));
    let mut batches = source(size, drawn.clone());
    let (mut losses, mut announced) = (Vec::new(), 0);
    for _ in 0..STEPS {
        announced += method.batches_next_step();
        let step = Step { problem: &problem, parameters: &mut parameters, batches: &mut batches, progress: 0.0 };
        let values = method.step(step).unwrap().check_finite().unwrap();
        losses.extend(values.into_iter().map(|entry| (entry.task, entry.loss, entry.regularizer)));
        assert_eq!(*drawn.lock().unwrap(), [announced; TASKS]);
    }
    (parameters, losses, announced)
}

/// Trains once with `k` accumulated batches of `size`, once with single batches of `k * size`.
fn check(build: impl Fn(UpdateSettings) -> Box<dyn Method>, k: usize, size: usize) {
    let updates = UpdateSettings::new(Sgd { momentum: 0.9, weight_decay: 0.01, ..Sgd::default() });
    let accumulated = UpdateSettings { accumulated_batches: k, ..updates.clone() };
    let (many, many_losses, drawn) = train(build(accumulated).as_mut(), size);
    let (one, one_losses, drawn_at_once) = train(build(updates).as_mut(), k * size);
    assert_eq!(drawn, k * drawn_at_once);
    assert!(distance(&many, &one, |_| true) < 1e-11);
    assert!(distance(&many, &initial(&problem(TASKS), 7), |_| true) > 1e-3, "nothing has moved");
    assert_eq!(many_losses.len(), one_losses.len());
    for (many, one) in many_losses.iter().zip(&one_losses) {
        assert_eq!(many.0, one.0);
        assert!((many.1 - one.1).abs() < 1e-11 && (many.2 - one.2).abs() < 1e-11, "{many:?} and {one:?}");
    }
}

/// Weights in proportion to the losses: depends on the losses, before a step and after it.
struct Proportional {
    reads: bool,
    last: f64,
}

impl LossWeighting for Proportional {
    fn weights(&mut self, losses: &[f64], _iteration: u64) -> Result<Vec<f64>> {
        let of_loss = |loss: &f64| if self.reads { loss + 0.1 * self.last } else { 0.5 };
        Ok(losses.iter().map(of_loss).collect())
    }

    fn reads_losses(&self) -> bool {
        self.reads
    }

    fn reads_losses_after(&self) -> bool {
        self.reads
    }

    fn observe(&mut self, losses: &[f64]) -> Result<()> {
        self.last = losses.iter().sum();
        Ok(())
    }
}

/// Weights from the Gramian, which is not linear in the gradients.
struct ByLength;

impl Aggregator for ByLength {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        let gramian = jacobian.gramian()?;
        Ok(Combination::Weights((0..jacobian.tasks()).map(|task| 0.3 / (0.1 + gramian[task][task].sqrt())).collect()))
    }
}

/// The sum of gradients half a step ahead.
struct Ahead;

impl DirectionSource for Ahead {
    fn direction(&mut self, point: &Point<'_>, _iteration: u64) -> Result<Direction> {
        let TaskGradients { losses, rows, .. } = point.gradients()?;
        let mut gradients = Gradients::new();
        for (task, row) in rows.iter().enumerate() {
            let ahead = point.parameters().clone().add_scaled(row, -0.1)?;
            gradients = gradients.add_scaled(&point.gradient_at(&ahead, task)?, 1.0)?;
        }
        Ok(Direction { gradients, losses, diagnostics: Diagnostics::NONE })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn accumulated_batches_are_one_large_batch_for_gradient_methods(k in 1usize..5, size in 1usize..4) {
        let ways: [fn() -> Combine; 4] = [
            || Combine::Losses(Box::new(Proportional { reads: false, last: 0.0 })),
            || Combine::Losses(Box::new(Proportional { reads: true, last: 0.0 })),
            || Combine::Gradients(Box::new(ByLength)),
            || Combine::Direction(Box::new(Ahead)),
        ];
        for way in ways {
            check(|updates| Box::new(GradientMethod::new(way(), 0.2, updates).unwrap()), k, size);
        }
    }

    #[test]
    fn accumulated_batches_are_one_large_batch_for_mtcool(
        k in 1usize..5, size in 1usize..4, samples in 1usize..4, inner in 1usize..3, warmup in 0usize..4,
    ) {
        let build = |updates| -> Box<dyn Method> {
            let config = MtcoolConfig {
                bound: 0.02,
                samples,
                inner_iterations: inner,
                warmup_iterations: warmup,
                updates,
                ..MtcoolConfig::default()
            };
            let noise = UniformNoise::new(5, config.bound).unwrap();
            Box::new(Mtcool::new(config, Box::new(noise)).unwrap())
        };
        check(build, k, size);
    }
}

/// Notes the length of every direction that it is given, and moves nothing.
#[derive(Clone, Debug, Default)]
struct Lengths(Arc<Mutex<Vec<(usize, f64)>>>);

impl Optimizer for Lengths {
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn slots(&self) -> &'static [&'static str] {
        &[]
    }

    fn step(&self, inputs: &OptimizerInputs<'_>, state: StateTensors) -> Result<(Parameters, StateTensors)> {
        let squares = inputs.gradients.inner_product(inputs.gradients)?;
        self.0.lock().unwrap().push((inputs.gradients.len(), squares.sqrt()));
        Ok((Parameters::new(), state))
    }
}

#[test]
fn directions_that_are_too_long_are_shortened_and_others_kept() {
    let lengths = |max_gradient_norm| {
        let noted = Lengths::default();
        let updates = UpdateSettings { max_gradient_norm, ..UpdateSettings::new(noted.clone()) };
        let config =
            MtcoolConfig { variant: Variant::Vanilla, warmup_iterations: 1, updates, ..MtcoolConfig::default() };
        train(&mut Mtcool::new(config, Box::new(UniformNoise::new(0, 0.1).unwrap())).unwrap(), 2);
        let noted = noted.0.lock().unwrap();
        noted.clone()
    };
    let free = lengths(None);
    // The warm-up moves all parameters at once, each later update those of one task.
    assert_eq!(free.iter().map(|(tensors, _)| *tensors).collect::<Vec<_>>()[..3], [2 * TASKS, 2, 2]);
    let mut sorted: Vec<f64> = free.iter().map(|(_, length)| *length).collect();
    sorted.sort_by(f64::total_cmp);
    let limit = sorted[sorted.len() / 2];
    let clipped = lengths(Some(limit));
    assert_eq!(clipped.len(), free.len());
    for ((_, clipped), (_, free)) in clipped.iter().zip(&free) {
        assert!((clipped - free.min(limit)).abs() < 1e-12, "{clipped} for {free}, at most {limit}");
    }
}

#[test]
fn a_divergence_is_not_hidden_by_clipping() {
    let updates = UpdateSettings { max_gradient_norm: Some(1.0), ..UpdateSettings::new(AdamW::default()) };
    let combine = Combine::Losses(Box::new(Proportional { reads: false, last: 0.0 }));
    let mut method = GradientMethod::new(combine, 0.1, updates).unwrap();
    let problem = problem(TASKS);
    let mut parameters = initial(&problem, 1);
    let mut broken = batches::from_fn(|task| {
        let Batch { input, target } = samples(task, 0, 2)?;
        Ok::<_, Error>(Batch { input: (input * f64::NAN)?, target })
    });
    for _ in 0..2 {
        let step = Step { problem: &problem, parameters: &mut parameters, batches: &mut broken, progress: 0.0 };
        assert!(method.step(step).unwrap().check_finite().is_err());
    }
}

#[test]
fn an_error_of_a_loader_names_the_task() {
    let mut broken = batches::from_fn(|_| Err("the disk is gone"));
    let message = broken.next(2).unwrap_err().to_string();
    assert_eq!(message, "could not read a batch of task 2: the disk is gone");
}
