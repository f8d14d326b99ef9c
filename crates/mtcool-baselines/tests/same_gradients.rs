//! On a network whose classification reads the segmentation of another task, all methods see the same gradients.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use candle_core::{DType, Device, Tensor};
use common::fmtl;
use common::quadratics::method;
use mtcool_baselines::{Dwa, GradNorm, Joint, Scalarization, Uncertainty, Wrapped};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{
    Aggregator, Batch, BatchSource, Combination, Combine, Gradients, Jacobian, Loss, Method, Mtcool, MtcoolConfig,
    ParameterKind, Parameters, Problem, Result, Sgd, Step, UniformNoise, UpdateOrder, Variant,
};
use mtcool_models::{Head, MapGradient, UNet, UNetConfig};
use mtcool_ops::Statistics;

const RATE: f64 = 0.25;

fn problem(map_gradient: MapGradient) -> Problem {
    let heads = vec![Head::Segmentation { classes: 3 }, Head::Classification { classes: 2 }];
    let statistics = Statistics::Group { groups: 2 };
    let sizes =
        UNetConfig { in_channels: 2, base: 4, depth: 1, statistics, classifier_width: 5, ..UNetConfig::default() };
    let network = UNet::new(UNetConfig { heads, map_gradient, ..sizes }).unwrap();
    let losses: Vec<Loss> = vec![Box::new(mtcool_ops::cross_entropy), Box::new(mtcool_ops::cross_entropy)];
    Problem::new(Box::new(network), losses).unwrap()
}

/// The same images for both tasks, with labels in the pattern of a congruence.
struct Photographs(Tensor);

impl Photographs {
    fn new() -> Self {
        let mut generator = stream(1, Purpose::Method, [0; 4], "photographs");
        Self(uniform(&mut generator, 1.0, &(2, 2, 6, 8).into(), DType::F64, &Device::Cpu).unwrap())
    }
}

impl BatchSource for Photographs {
    fn next(&mut self, task: usize) -> Result<Batch> {
        let target = if task == 0 {
            Tensor::from_vec((0..96u32).map(|n| n * n / 5 % 3).collect(), (2, 6, 8), &Device::Cpu)?
        } else {
            Tensor::new(&[1u32, 0], &Device::Cpu)?
        };
        Ok(Batch { input: self.0.clone(), target })
    }
}

fn start() -> Parameters {
    problem(MapGradient::default()).network().initial_parameters(3, DType::F64, &Device::Cpu).unwrap()
}

/// `sum_i g_i`.
struct Sum;

impl Aggregator for Sum {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        Ok(Combination::Weights(vec![1.0; jacobian.tasks()]))
    }
}

/// Loss weightings and aggregators that weigh all tasks by 1 in their first step, by themselves and wrapped without
/// perturbation; MT-COOL's warm-up; and its tasks in turn, each at the parameters of before.
fn methods() -> Vec<(&'static str, Box<dyn Method>)> {
    let combine = |combine| -> Box<dyn Method> { Box::new(method(combine, RATE, Sgd::default())) };
    let mtcool = |warmup_iterations| -> Box<dyn Method> {
        let (variant, schedule) = (Variant::Vanilla, UpdateOrder::Jacobi);
        let config =
            MtcoolConfig { variant, schedule, warmup_iterations, alpha: RATE, beta: RATE, ..MtcoolConfig::default() };
        Box::new(Mtcool::new(config, Box::new(UniformNoise::new(0, 0.05).unwrap())).unwrap())
    };
    let aggregators = Wrapped::Gradients { loss: Box::new(Sum), flat: Box::new(Sum) };
    vec![
        ("joint", combine(Combine::Losses(Box::new(Joint)))),
        ("scalarization", combine(Combine::Losses(Box::new(Scalarization::new(vec![1.0, 1.0]).unwrap())))),
        ("uncertainty", combine(Combine::Losses(Box::new(Uncertainty::new(0.1).unwrap())))),
        ("dwa", combine(Combine::Losses(Box::new(Dwa::new(2.0, 2).unwrap())))),
        ("gradnorm", combine(Combine::Gradients(Box::new(GradNorm::new(0.5, 0.01).unwrap())))),
        ("an aggregator", combine(Combine::Gradients(Box::new(Sum)))),
        ("f_mtl around joint", combine(fmtl(Wrapped::Losses(Box::new(Joint)), 0.0))),
        ("f_mtl around an aggregator", combine(fmtl(aggregators, 0.0))),
        ("the warm-up of mtcool", mtcool(1)),
        ("mtcool's tasks in turn", mtcool(0)),
    ]
}

/// What the method's first step goes along: the parameters' change divided by the learning rate.
fn first_step(mut method: Box<dyn Method>, map_gradient: MapGradient) -> Gradients {
    let (problem, mut parameters) = (problem(map_gradient), start());
    let step = Step { problem: &problem, parameters: &mut parameters, batches: &mut Photographs::new(), progress: 0.0 };
    method.step(step).unwrap().check_finite().unwrap();
    let change = start().add_scaled(&parameters, -1.0).unwrap();
    Gradients::new().add_scaled(&change, 1.0 / RATE).unwrap()
}

/// Gradients of the tasks' losses, one task at a time over candle's graph, without the network's own backward pass.
fn rows(map_gradient: MapGradient) -> Vec<Gradients> {
    let problem = problem(map_gradient);
    let gradients = |task: usize| {
        let tracked = start().track(|_| true).unwrap();
        let leaves: Parameters = tracked.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
        let Batch { input, target } = Photographs::new().next(task).unwrap();
        let output = problem.network().forward(&leaves, task, &input).unwrap();
        leaves.backward(&problem.loss(task, &output, &target).unwrap()).unwrap()
    };
    (0..2).map(gradients).collect()
}

/// The length of their difference.
fn distance(a: &Gradients, b: &Gradients) -> f64 {
    let difference = a.clone().add_scaled(b, -1.0).unwrap();
    difference.inner_product(&difference).unwrap().sqrt()
}

#[test]
fn all_methods_see_the_same_gradients() {
    for map_gradient in [MapGradient::ThetaOnly, MapGradient::None] {
        let rows = rows(map_gradient);
        let sum = rows[0].clone().add_scaled(&rows[1], 1.0).unwrap();
        // Joint's gradient of phi_0 is that of task 0's loss alone, of phi_1 that of task 1's; of theta, the sum.
        let mut want = sum.filter(|name| name.kind == ParameterKind::Theta);
        for (task, row) in rows.iter().enumerate() {
            want.update(row.filter(|name| name.kind == ParameterKind::Phi && name.task == task));
        }
        assert_eq!(want.len(), start().len());
        for (name, method) in methods() {
            let step = first_step(method, map_gradient);
            if name == "mtcool's tasks in turn" {
                // Task i moves theta_i and phi_i by its own gradient.
                let mut own = Gradients::new();
                rows.iter().enumerate().for_each(|(task, row)| own.update(row.filter(|name| name.task == task)));
                assert!(distance(&step, &own) < 1e-12, "{name} {map_gradient:?}");
                continue;
            }
            let off = distance(&step, &want);
            assert!(off < 1e-12, "{name} {map_gradient:?}: off by {off:e}");
        }
    }
}

/// Why there is a rule: without it, phi_0 follows both losses where they are added up, and one where gradients are combined.
#[test]
fn with_the_whole_derivative_methods_would_differ() {
    let of_phi_0 = |name: &str| {
        let (_, method) = methods().into_iter().find(|(other, _)| *other == name).unwrap();
        first_step(method, MapGradient::Everything).filter(|name| name.kind == ParameterKind::Phi && name.task == 0)
    };
    assert!(distance(&of_phi_0("joint"), &of_phi_0("an aggregator")) > 1e-6);
    assert!(distance(&of_phi_0("the warm-up of mtcool"), &of_phi_0("an aggregator")) > 1e-6);
}
